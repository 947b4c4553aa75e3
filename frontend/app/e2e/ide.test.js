// The first minutes in the workbench: what its start costs, a new file, a build.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

/** What the first start may fetch (API Gateway is asked for each). */
const REQUESTS_MAX = 80;
const BYTES_MAX = 3_500_000;

let ide;
let me;

before(async () => {
  ide = await startIde();
});

after(() => ide?.stop());

const drafts = async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main')).items;

test('the workbench opens from the project with what it may fetch', async () => {
  let [requests, bytes] = [0, 0];
  me = await ide.open({
    beforeOpening: (page) =>
      page.on('response', (response) => {
        requests += 1;
        bytes += Number(response.headers()['content-length'] ?? 0);
      }),
  });
  await me.edit('README.md');
  assert.ok(requests <= REQUESTS_MAX, `${requests} requests`);
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
});

test('the address names the file and the line that open', async () => {
  const other = await ide.open({ beside: me.opened, path: '&path=functions/greet/app.py&line=9' });
  await other.status('Ln 9, Col 1').waitFor();
  await other.page.close();
});

test('what is typed is a draft at once, and a commit takes it', async () => {
  await me.page.keyboard.press('Control+End');
  await me.page.keyboard.type('\nFrom the workbench.\n');
  await until(async () => (await drafts()).some(({ path }) => path === 'README.md'), 'the draft');
  await me.commit('readme: from the workbench');
  await until(async () => (await drafts()).length === 0, 'the commit');
  const { items } = await ide.api.call('GET', '/projects/shop/commits?ref=main&limit=1');
  assert.equal(items[0].message.trim(), 'readme: from the workbench');
});

test('a commit from elsewhere appears in the open editor', async () => {
  const [branch] = (await ide.api.call('GET', '/projects/shop/branches')).items;
  const changes = [{ action: 'put', path: 'README.md', content: 'Written elsewhere.\n' }];
  const body = { branch: 'main', expected_head: branch.commit, message: 'elsewhere', changes };
  await ide.api.call('POST', '/projects/shop/commits', body);
  await me.line('Written elsewhere.').waitFor();
});

test('a new file in a new folder is a draft', async () => {
  await me.page.keyboard.press('Control+Shift+E');
  await me.page.locator('.explorer-folders-view').getByRole('treeitem', { name: 'template.yaml' }).click();
  await me.page.getByRole('button', { name: 'New File...' }).click();
  await me.page.locator('.explorer-item-edited input').fill('notes/first.md');
  await me.page.keyboard.press('Enter');
  await me.tab('first.md');
  await me.page.keyboard.type('# First\n');
  await until(async () => (await drafts()).some(({ path, length }) => path === 'notes/first.md' && length > 0), 'the draft');
});

test('a build says first that something is not committed, then runs', async () => {
  await me.command('Workroom: Build');
  await me.answer('Go On');
  await me.notice('build succeeded.').waitFor({ timeout: 120_000 });
  await me.page.locator('.output-view .view-line', { hasText: 'GreetFunction' }).first().waitFor();
});

test('a small file that is uploaded is a draft; a large one goes to the files area', async () => {
  const upload = async (name, bytes) => {
    const folder = me.page.locator('.explorer-folders-view').getByRole('treeitem', { name: 'events' });
    const choosing = me.page.waitForEvent('filechooser');
    await me.menu(folder, 'Upload...');
    await (await choosing).setFiles({ name, mimeType: 'application/octet-stream', buffer: Buffer.alloc(bytes, name) });
  };
  await upload('small.json', 1000);
  await until(async () => (await drafts()).some(({ path, length }) => path === 'events/small.json' && length === 1000), 'the draft');
  // It opens, and with the focus it would take the next menu away.
  await me.tab('small.json');
  await upload('large.bin', 6_000_000);
  await me.notice('too much for a draft').waitFor();
  await me.answer('Upload to Files');
  await until(async () => {
    const { items } = await ide.api.call('GET', '/projects/shop/files');
    return items.some(({ path, length }) => path === 'events/large.bin' && length === 6_000_000);
  }, 'the stored file');
  assert.ok(!(await drafts()).some(({ path }) => path === 'events/large.bin'));
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble('large.bin'), []);
});
