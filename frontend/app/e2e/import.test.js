// A project that begins as another server's repository: what is refused says why, and what comes is all there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startGitServer } from './git-server.js';
import { accessible, open, signIn, unbroken } from './pages.js';

const IMPORT_MS = 120_000;
let server;
let walk;
let page;

before(async () => {
  server = await startGitServer();
  walk = await open({ options: ['--allow-import-from', '127.0.0.1', '--import-ca', server.authority] });
  page = walk.page;
  await signIn(page, walk.home, walk.platform.admin);
});
after(async () => {
  await walk?.close();
  server?.stop();
});

const address = () => page.getByRole('textbox', { name: 'Git address', exact: true });

/** Fills the form; the name follows from the address. */
async function ask(url) {
  await walk.visit('/');
  await walk.visit('/new');
  await page.getByRole('radio', { name: /Import/ }).check();
  await address().fill(url);
  await page.getByRole('button', { name: 'Import project' }).click();
}

test('an address that not everyone can reach is refused, and what was typed stays', async () => {
  await ask('https://127.0.0.1:9/team/tea.git');
  await page.getByRole('alert').getByText('The address is not one that everyone can reach.').waitFor();
  await accessible(page, 'a refused import');
  assert.equal(await address().inputValue(), 'https://127.0.0.1:9/team/tea.git');
  assert.equal(await page.locator('input[name=slug]').inputValue(), 'tea');
  await ask('http://example.com/tea.git');
  await page.getByRole('alert').getByText('An import comes from an address like').waitFor();
  await ask('https://me:secret@example.com/tea.git');
  await page.getByRole('alert').getByText('beside the address, not in it').waitFor();
});

test('a repository comes with its history, its tags and its default branch', async () => {
  await ask(server.url);
  await page.locator('.state.succeeded').waitFor({ timeout: IMPORT_MS });
  await accessible(page, 'an import');
  await page.getByRole('link', { name: 'Open the project' }).click();
  await page.getByText('Green and black.').waitFor();
  const { items } = await walk.api.call('GET', '/projects/tea/commits?ref=main');
  assert.deepEqual(items.map(({ message }) => message.trim()), ['second tea', 'first tea']);
  const tags = await walk.api.call('GET', '/projects/tea/tags');
  assert.deepEqual(tags.items.map(({ name }) => name), ['v1']);
});

test('a repository that is not there ends the import with the reason', async () => {
  await ask(server.url.replace('tea.git', 'coffee.git'));
  await page.locator('.state.failed').waitFor({ timeout: IMPORT_MS });
  await page.getByRole('alert').first().waitFor();
  await accessible(page, 'a failed import');
});

test('nothing was asked of another host, and no page broke', () => unbroken(walk));
