// Files: edited, in conflict, searched, committed, pushed, and looked back at.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { accessible, open, signIn, unbroken } from './pages.js';

const folder = mkdtempSync(join(tmpdir(), 'workroom-edit-'));
let walk;
let page;

before(async () => {
  walk = await open();
  page = walk.page;
  await walk.api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter: 'python' });
  await signIn(page, walk.home, walk.platform.admin);
});
after(async () => {
  await walk?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function append(target, text) {
  await target.locator('main .code-editor .cm-content').click();
  await target.keyboard.press('Control+End');
  await target.keyboard.type(text);
}

test('a file is edited, drafted by itself and committed', async () => {
  await walk.visit('/p/shop/files');
  await page.getByRole('link', { name: 'README.md' }).first().click();
  await append(page, 'Edited in the browser.\n');
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
  const other = await walk.context.newPage();
  for (const tab of [page, other]) {
    await tab.goto(`${walk.home}?tab#/p/shop/file?ref=main&path=template.yaml`);
    await tab.locator('.cm-content').waitFor();
  }
  await append(page, '# first tab\n');
  await page.getByText(/Draft saved/).waitFor();
  await other.bringToFront();
  await append(other, '# second tab\n');
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
  await other.close();
});

test('a discarded draft can be taken back', async () => {
  await page.reload();
  await page.getByRole('button', { name: 'Discard draft' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Discard draft' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Discard draft' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('button', { name: 'Discard draft' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Discard draft' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Discard draft' }).waitFor({ state: 'detached' });
});

test('text and patterns are found, and lead to their line', async () => {
  await walk.visit('/p/shop/search');
  await page.getByLabel('Text or pattern').fill('def handler');
  await page.keyboard.press('Enter');
  const found = page.getByRole('region', { name: 'functions/greet/app.py' });
  await found.locator('mark', { hasText: 'def handler' }).first().waitFor();
  await accessible(page, 'search');
  await page.getByLabel('Text or pattern').fill('def (handler|missing)\\(');
  await page.getByLabel('Regular expression').check();
  await page.keyboard.press('Enter');
  await found.locator('mark', { hasText: 'def handler(' }).waitFor();
  await page.getByLabel('Text or pattern').fill('(open');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Text or pattern').fill('no such text anywhere');
  await page.getByLabel('Regular expression').uncheck();
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByText('Nothing matches “no such text anywhere”.').waitFor();
  await page.goBack();
  await walk.visit('/p/shop/search?q=def%20handler');
  await found.getByRole('link').nth(1).click();
  await page.locator('.cm-activeLine', { hasText: 'def handler' }).waitFor();
});

test('a push from a stock git client appears by itself', async () => {
  await walk.visit('/account');
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.getByLabel('Name', { exact: true }).last().fill('laptop');
  await page.getByRole('dialog').getByRole('button', { name: 'Create token' }).click();
  const token = await page.locator('.notice code').innerText();
  await accessible(page, 'account');

  await walk.visit('/p/shop/commits');
  await page.getByRole('link', { name: 'readme: say where it was edited' }).waitFor();
  const url = `${walk.platform.address}/git/shop.git`.replace('://', `://git:${token}@`);
  const who = ['-c', 'user.name=Pusher', '-c', 'user.email=p@example.com'];
  const git = (...args) => execFileSync('git', [...who, ...args], { cwd: folder, stdio: 'pipe' });
  git('clone', '-q', url, 'clone');
  writeFileSync(join(folder, 'clone/pushed.txt'), 'from git\n');
  git('-C', 'clone', 'add', '.');
  git('-C', 'clone', 'commit', '-q', '-m', 'pushed from a laptop');
  git('-C', 'clone', 'push', '-q');
  await page.getByRole('link', { name: 'pushed from a laptop' }).waitFor();
  await accessible(page, 'commits');
});

test('a file says who wrote each line and what became of it', async () => {
  await walk.visit('/p/shop/file?ref=main&path=README.md');
  await page.getByRole('link', { name: 'Blame' }).click();
  const last = page.locator('tbody', { hasText: 'Edited in the browser.' });
  await last.getByRole('link', { name: 'readme: say where it was edited' }).waitFor();
  await accessible(page, 'blame');
  await page.getByRole('navigation', { name: 'Views of this file' }).getByRole('link', { name: 'History' }).click();
  await page.getByRole('link', { name: 'readme: say where it was edited' }).waitFor();
  await page.getByRole('link', { name: 'pushed from a laptop' }).waitFor({ state: 'detached' });
  await accessible(page, 'history of a file');
});

test('the tree says who touched what, and goes home as one file', async () => {
  await walk.visit('/p/shop/files');
  const row = page.locator('.files li', { hasText: 'pushed.txt' });
  await row.getByRole('link', { name: 'pushed from a laptop' }).waitFor();
  await accessible(page, 'files');
  const link = page.getByRole('link', { name: 'As ZIP: shop' });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  const bytes = readFileSync(await download.path());
  assert.equal(bytes.subarray(0, 2).toString(), 'PK');
});

test('nothing was asked of another host, and no page broke', () => unbroken(walk));
