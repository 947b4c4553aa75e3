// A Git server elsewhere, as far as an import sees one: smart HTTP over TLS on this machine, answered by git itself.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Serves the repository `tea.git`, of two commits and a tag. Whoever trusts `authority` can read it at `url`. */
export async function startGitServer() {
  const folder = mkdtempSync(join(tmpdir(), 'workroom-git-'));
  const [key, authority] = [join(folder, 'key.pem'), join(folder, 'authority.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', authority, ...subject], { stdio: 'ignore' });
  const repository = write(join(folder, 'tea'));
  const server = createServer({ key: readFileSync(key), cert: readFileSync(authority) }, (request, response) => {
    answer(repository, request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    authority,
    url: `https://localhost:${server.address().port}/tea.git`,
    stop() {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function write(folder) {
  const git = (...args) => {
    const author = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', '-c', 'init.defaultBranch=main'];
    execFileSync('git', [...author, ...args], { stdio: 'ignore' });
  };
  git('init', folder);
  for (const [text, message] of [['Green.\n', 'first tea'], ['Green and black.\n', 'second tea']]) {
    writeFileSync(join(folder, 'README.md'), text);
    git('-C', folder, 'add', '.');
    git('-C', folder, 'commit', '-m', message);
  }
  git('-C', folder, 'tag', 'v1');
  return folder;
}

/** The advertisement, or what is asked after it (gitprotocol-http). */
function answer(repository, request, response) {
  const advertises = request.url === '/tea.git/info/refs?service=git-upload-pack';
  if (!advertises && request.url !== '/tea.git/git-upload-pack') {
    response.writeHead(404).end();
    return;
  }
  const version = request.headers['git-protocol'];
  const env = { ...process.env, ...(version ? { GIT_PROTOCOL: String(version) } : {}) };
  const options = ['--stateless-rpc', ...(advertises ? ['--http-backend-info-refs'] : [])];
  const git = spawn('git', ['upload-pack', ...options, repository], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  const type = advertises ? 'advertisement' : 'result';
  response.writeHead(200, { 'Content-Type': `application/x-git-upload-pack-${type}` });
  if (advertises && !String(version).includes('version=2')) response.write('001e# service=git-upload-pack\n0000');
  request.pipe(git.stdin);
  git.stdout.pipe(response);
}
