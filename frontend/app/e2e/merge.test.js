// Branches: compared, merged, merged with conflicts, tagged, and taken back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessible, open, signIn, unbroken } from './pages.js';

let walk;
let page;

before(async () => {
  walk = await open();
  page = walk.page;
  const { api } = walk;
  await api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter: 'python' });
  await signIn(page, walk.home, walk.platform.admin);
  await api.commit('shop', 'main', { 'menu.txt': 'tea\ncoffee\nwater\n' }, 'menu');
  for (const name of ['feature/clean', 'feature/conflict']) {
    await api.call('POST', '/projects/shop/branches', { name, from: 'main' });
  }
  await api.commit('shop', 'feature/clean', { 'cakes.txt': 'apple\n' }, 'cakes');
});
after(() => walk?.close());

const dialog = () => page.getByRole('dialog');

test('a branch is created and deleted, and the deletion taken back', async () => {
  await walk.visit('/p/shop/branches');
  await page.getByRole('button', { name: 'New branch' }).click();
  await dialog().getByLabel('Name').fill('short-lived');
  await page.getByRole('button', { name: 'Create branch' }).click();
  await page.getByRole('link', { name: 'short-lived' }).waitFor();
  await accessible(page, 'branches');
  await page.getByRole('button', { name: 'Delete: short-lived' }).click();
  await dialog().getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('link', { name: 'short-lived' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('link', { name: 'short-lived' }).waitFor();
});

test('what a branch has is seen and merged', async () => {
  await page.locator('.rows li', { hasText: 'feature/clean' }).getByRole('link', { name: 'Compare' }).click();
  await page.getByText('feature/clean: ahead of main by 1, behind by 0').waitFor();
  await page.locator('tr.added', { hasText: 'apple' }).waitFor();
  await accessible(page, 'compare');
  await page.getByRole('button', { name: 'Merge into main…' }).click();
  await page.getByText('Nothing happened on main meanwhile').waitFor();
  await accessible(page, 'merge');
  await page.getByRole('button', { name: 'Merge into main', exact: true }).click();
  await page.getByRole('heading', { name: 'cakes' }).waitFor();
  await page.getByText('Merged feature/clean into main.').waitFor();
});

test('a conflict is decided between three views', async () => {
  const { api } = walk;
  await api.commit('shop', 'main', { 'menu.txt': 'tea\nespresso\nwater\n' }, 'ours');
  await api.commit('shop', 'feature/conflict', { 'menu.txt': 'tea\nfilter coffee\nwater\n' }, 'theirs');
  await walk.visit('/p/shop/compare?base=main&head=feature%2Fconflict');
  await page.getByRole('button', { name: 'Merge into main…' }).click();
  await page.getByRole('heading', { name: 'Conflicts' }).waitFor();
  const merge = page.getByRole('button', { name: 'Merge into main', exact: true });
  assert.ok(await merge.isDisabled(), 'an open conflict can be merged');
  await page.getByRole('button', { name: 'Take feature/conflict' }).waitFor();
  await accessible(page, 'conflict of a merge');
  await page.getByRole('button', { name: 'Take both' }).click();
  await page.getByText('Everything is decided.').waitFor();
  // The result is a text like any other.
  await page.keyboard.press('Control+End');
  await page.keyboard.type('juice\n');
  await merge.click();
  await page.getByRole('heading', { name: 'Merge feature/conflict into main' }).waitFor();
  await walk.visit('/p/shop/file?ref=main&path=menu.txt');
  const lines = page.locator('.cm-line');
  await lines.filter({ hasText: 'juice' }).waitFor();
  assert.deepEqual((await lines.allInnerTexts()).slice(0, 5), ['tea', 'espresso', 'filter coffee', 'water', 'juice']);
});

test('a file that one side deleted is kept or deleted', async () => {
  const { api } = walk;
  await api.call('POST', '/projects/shop/branches', { name: 'binary', from: 'main' });
  await api.commit('shop', 'binary', { 'logo.bin': '\u0000one' }, 'logo there');
  await api.commit('shop', 'main', { 'logo.bin': '\u0000two' }, 'logo here');
  await walk.visit('/p/shop/compare?base=main&head=binary');
  await page.getByRole('button', { name: 'Merge into main…' }).click();
  await page.getByRole('radio', { name: 'Keep the file of binary' }).check();
  await accessible(page, 'a choice between files');
  await page.getByRole('button', { name: 'Merge into main', exact: true }).click();
  await page.getByRole('heading', { name: 'Merge binary into main' }).waitFor();
});

test('a tag is made, offered as a download, deleted and taken back', async () => {
  await walk.visit('/p/shop/tags');
  await page.getByText('No tags yet.').waitFor();
  await page.getByRole('button', { name: 'New tag' }).click();
  await dialog().getByLabel('Name').fill('v1.0.0');
  await dialog().getByLabel('Message (optional)').fill('The first');
  await page.getByRole('button', { name: 'Create tag' }).click();
  await page.getByRole('link', { name: 'v1.0.0', exact: true }).waitFor();
  await page.getByRole('link', { name: 'As tar.gz: v1.0.0' }).waitFor();
  await accessible(page, 'tags');
  await page.getByRole('button', { name: 'Delete: v1.0.0' }).click();
  await dialog().getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No tags yet.').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('link', { name: 'v1.0.0', exact: true }).waitFor();
});

test('nothing was asked of another host, and no page broke', () => unbroken(walk));
