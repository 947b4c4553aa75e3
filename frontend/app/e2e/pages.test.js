// The pages, used by keyboard and mouse as people use them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { client, openPage, startBrowser, startPlatform } from './platform.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const UPLOAD_BYTES = 24 * 1024 * 1024;

let platform;
let browser;
/** The admin's page: most of the walk happens in it. */
let opened;
let page;
const folder = mkdtempSync(join(tmpdir(), 'workroom-pages-'));

before(async () => {
  platform = await startPlatform({
    ...(process.env.WORKROOM_PROGRAM ? { program: process.env.WORKROOM_PROGRAM } : {}),
    options: process.env.WORKROOM_OPTIONS?.split(' ') ?? [],
  });
  browser = await startBrowser();
  opened = await openPage(browser);
  page = opened.page;
  opened.context.setDefaultTimeout(15_000);
});

after(async () => {
  await browser?.close();
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const home = () => `${platform.address}/static/index.html`;
const visit = (target, hash) => target.goto(`${home()}#${hash}`);

async function signIn(target, { email, password }) {
  await target.goto(home());
  await target.getByLabel('E-mail').fill(email);
  await target.getByLabel('Password').fill(password);
  await target.keyboard.press('Enter');
  await target.getByRole('heading', { name: 'Projects' }).waitFor();
}

/** No serious finding in light or dark, and nothing wider than the window. */
async function accessible(target, what) {
  for (const scheme of ['light', 'dark']) {
    await target.emulateMedia({ colorScheme: scheme });
    // The policy forbids scripts in the page: this one comes from outside it.
    await target.evaluate(axe);
    const found = await target.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
    const said = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join('\n  ')}`);
    assert.deepEqual(said, [], `${what}, ${scheme}`);
  }
  await target.emulateMedia({ colorScheme: 'light' });
  const { width, window } = await target.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  assert.ok(width <= window, `${what} is ${width} px wide in a window of ${window}`);
}

test('a wrong password is said and the right one opens the projects', async () => {
  await page.goto(home());
  await page.getByLabel('E-mail').fill(platform.admin.email);
  await page.getByLabel('Password').fill('not the password');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  await accessible(page, 'sign-in');
  await signIn(page, platform.admin);
  const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href]));
  assert.ok(!/eyJ|wrp_|wrs_/.test(stored), 'a token lies where scripts can read it');
  await accessible(page, 'projects, empty');
});

test('a project is created from a starter', async () => {
  await page.getByRole('link', { name: 'New project' }).first().click();
  await page.getByLabel('Name', { exact: true }).fill('Order shop');
  await page.getByRole('radio', { name: /python/i }).check();
  await accessible(page, 'new project');
  await page.getByRole('button', { name: 'Create project' }).click();
  await page.getByRole('heading', { name: 'Latest commits' }).waitFor();
  await accessible(page, 'overview');
});

test('a file is edited, drafted by itself and committed', async () => {
  await visit(page, '/p/order-shop/files');
  await page.getByRole('link', { name: 'README.md' }).click();
  const editor = page.locator('.cm-content');
  await editor.click();
  await page.keyboard.press('Control+End');
  await page.keyboard.type('Edited in the browser.\n');
  await page.getByText(/Draft saved/).waitFor();
  await accessible(page, 'file');
  await page.reload();
  await page.getByText('Edited in the browser.').waitFor();
  await page.getByRole('button', { name: 'Commit…' }).click();
  await page.getByLabel('Message').fill('readme: say where it was edited');
  await page.getByRole('button', { name: /^Commit 1/ }).click();
  await page.getByRole('heading', { name: 'readme: say where it was edited' }).waitFor();
  await page.locator('tr.added', { hasText: 'Edited in the browser.' }).waitFor();
  await accessible(page, 'commit');
});

test('one file in two tabs ends in a clear choice', async () => {
  const other = await opened.context.newPage();
  for (const tab of [page, other]) {
    await tab.goto(`${home()}?tab#/p/order-shop/file?ref=main&path=template.yaml`);
    await tab.locator('.cm-content').click();
  }
  await page.keyboard.press('Control+End');
  await page.keyboard.type('# first tab\n');
  await page.getByText(/Draft saved/).waitFor();
  await other.bringToFront();
  await other.locator('.cm-content').click();
  await other.keyboard.press('Control+End');
  await other.keyboard.type('# second tab\n');
  await other.getByRole('dialog').getByText('This draft was changed elsewhere').waitFor();
  // Escape is no choice.
  await other.keyboard.press('Escape');
  await other.getByRole('dialog').locator('.cm-editor').first().waitFor();
  await accessible(other, 'conflict');
  await other.getByRole('button', { name: 'Take the stored one' }).click();
  const editor = other.locator('main .code-editor .cm-content');
  await editor.click();
  await other.keyboard.press('Control+End');
  await editor.filter({ hasText: '# first tab' }).waitFor();
  await other.getByRole('button', { name: 'Discard draft' }).click();
  await other.getByRole('dialog').getByRole('button', { name: 'Discard draft' }).click();
  await other.getByRole('dialog').waitFor({ state: 'detached' });
  await other.getByRole('button', { name: 'Discard draft' }).waitFor({ state: 'detached' });
  await other.close();
});

test('a push from a stock git client appears by itself', async () => {
  await visit(page, '/account');
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.getByLabel('Name', { exact: true }).last().fill('laptop');
  await page.getByRole('dialog').getByRole('button', { name: 'Create token' }).click();
  const token = await page.locator('.notice code').innerText();
  await accessible(page, 'account');

  await visit(page, '/p/order-shop/commits');
  await page.getByRole('link', { name: 'readme: say where it was edited' }).waitFor();
  const url = `${platform.address}/git/order-shop.git`.replace('://', `://git:${token}@`);
  const git = (...args) => execFileSync('git', ['-c', 'user.name=P', '-c', 'user.email=p@example.com', ...args], { cwd: folder, stdio: 'pipe' });
  git('clone', '-q', url, 'clone');
  writeFileSync(join(folder, 'clone/pushed.txt'), 'from git\n');
  git('-C', 'clone', 'add', '.');
  git('-C', 'clone', 'commit', '-q', '-m', 'pushed from a laptop');
  git('-C', 'clone', 'push', '-q');
  await page.getByRole('link', { name: 'pushed from a laptop' }).waitFor();
  await accessible(page, 'commits');
});

test('a file goes straight to storage and comes back the same', async () => {
  const file = join(folder, 'large.bin');
  const bytes = Buffer.alloc(UPLOAD_BYTES);
  for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, at);
  writeFileSync(file, bytes);
  await visit(page, '/p/order-shop/storage');
  await page.locator('input[type=file]').setInputFiles(file);
  await page.locator('.upload.done').waitFor({ timeout: 60_000 });
  const link = page.getByRole('button', { name: 'large.bin', exact: true });
  await accessible(page, 'files area');
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  assert.ok(readFileSync(await download.path()).equals(bytes));
  await page.getByRole('button', { name: 'Delete: large.bin' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No files yet.').waitFor();
});

test('a branch is created, compared and deleted', async () => {
  await visit(page, '/p/order-shop/branches');
  await page.getByRole('button', { name: 'New branch' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('feature/one');
  await page.getByRole('button', { name: 'Create branch' }).click();
  await page.getByRole('link', { name: 'feature/one' }).waitFor();
  await accessible(page, 'branches');
  await page.locator('li', { hasText: 'feature/one' }).getByRole('link', { name: 'Compare' }).click();
  await page.getByText('Nothing differs.').waitFor();
  await accessible(page, 'compare');
  await visit(page, '/p/order-shop/branches');
  await page.getByRole('button', { name: 'Delete: feature/one' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('link', { name: 'feature/one' }).waitFor({ state: 'detached' });
});

test('an admin adds a person, who works as a member and is then disabled', async () => {
  const person = { email: 'mina@example.com', password: 'correct horse battery' };
  await visit(page, '/admin');
  await page.getByRole('button', { name: 'Invite person' }).click();
  await page.getByRole('dialog').getByLabel('E-mail').fill(person.email);
  await page.getByRole('dialog').getByLabel('Name').fill('Mina');
  await page.getByRole('dialog').getByLabel('First password').fill('short');
  await page.getByRole('dialog').getByLabel('First password').fill(person.password);
  await page.getByRole('dialog').getByRole('button', { name: 'Invite person' }).click();
  await page.getByText('mina@example.com', { exact: true }).waitFor();
  await accessible(page, 'admin');

  const second = await openPage(browser, { viewport: { width: 375, height: 740 }, locale: 'ko-KR' });
  await second.page.goto(home());
  await second.page.getByLabel('이메일').fill(person.email);
  await second.page.getByLabel('비밀번호').fill(person.password);
  await second.page.getByRole('button', { name: '로그인' }).click();
  await second.page.getByText('아직 프로젝트가 없습니다.').waitFor();
  await accessible(second.page, 'projects on a phone, in Korean');

  const api = client(platform.address);
  await api.signIn(platform.admin);
  const { items } = await api.call('GET', '/accounts');
  const mina = items.find((account) => account.email === person.email);
  await visit(page, '/p/order-shop/settings/members');
  await page.getByRole('button', { name: 'Add member' }).click();
  await page.getByRole('dialog').getByLabel('Account id or e-mail').fill(mina.id);
  await page.getByRole('dialog').getByRole('button', { name: 'Add member' }).click();
  await page.getByLabel('Role: Mina').waitFor();
  await accessible(page, 'settings');
  for (const section of ['', '/files', '/jobs', '/environments', '/storage', '/settings']) {
    await visit(second.page, `/p/order-shop${section}`);
    await second.page.locator('main h1').first().waitFor();
    await second.page.waitForLoadState('networkidle');
    await accessible(second.page, `${section} on a phone, in Korean`);
  }

  await visit(page, '/admin');
  const row = page.locator('li', { hasText: 'Mina' });
  await row.getByRole('button', { name: 'Disable' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
  await row.getByText('disabled').waitFor();
  await second.page.reload();
  await second.page.getByRole('button', { name: '로그인' }).waitFor();
  assert.deepEqual(second.foreign, []);
});

test('a project that is not there says so, and signing out ends the session', async () => {
  await visit(page, '/p/nothing-here');
  await page.getByRole('alert').waitFor();
  await visit(page, '/no-such-page');
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await accessible(page, 'not found');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
});

test('nothing was asked of another host, and no page broke', () => {
  assert.deepEqual(opened.foreign, []);
  assert.deepEqual(opened.trouble.filter((line) => !line.includes('Failed to load resource')), []);
});
