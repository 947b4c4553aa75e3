// Finding: files by name, text across the project with what is typed and not committed, and replacing it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

let ide;
let me;

before(async () => {
  ide = await startIde();
  me = await ide.open();
});

after(() => ide?.stop());

const result = (text) => me.page.locator('.search-view .monaco-list-row', { hasText: text }).first();

async function search(text) {
  await me.page.keyboard.press('Control+Shift+F');
  await me.page.locator('.search-view .search-container textarea').first().fill(text);
  await me.page.keyboard.press('Enter');
}

test('a file deep in a folder opens by a few letters of its name', async () => {
  await me.page.keyboard.press('Control+P');
  await me.page.locator('.quick-input-widget .quick-input-box input').fill('feedbackapp');
  await me.page.locator('.quick-input-list .monaco-list-row', { hasText: 'app.py' }).first().waitFor();
  await me.page.keyboard.press('Enter');
  await me.tab('app.py');
});

test('text is found in committed files and in drafts', async () => {
  await search('def handler');
  await result('app.py').waitFor();
  await result('def handler').waitFor();
  await me.edit('README.md');
  await me.page.keyboard.press('Control+End');
  await me.page.keyboard.type('\nA needle-in-a-draft.\n');
  await until(async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main')).items.length > 0, 'the draft');
  await search('needle-in-a-draft');
  await result('README.md').waitFor();
});

test('a regular expression finds, and replacing changes every file as a draft', async () => {
  await search('HANDLER_NOWHERE');
  await me.page.getByText('No results found', { exact: false }).first().waitFor();
  await me.page.locator('.search-view .search-container').getByRole('checkbox', { name: /Regular Expression/ }).click();
  await search('needle-in-a-d\\w+t');
  await result('README.md').waitFor();
  await me.page.getByRole('button', { name: 'Toggle Replace' }).click();
  await me.page.locator('.search-view .replace-input textarea').fill('found-and-replaced');
  await me.page.locator('.search-view').getByRole('button', { name: /Replace All/ }).first().click();
  await me.confirm('Replace');
  await until(
    async () => (await ide.api.text('/projects/shop/draft?branch=main&path=README.md')).includes('A found-and-replaced.'),
    'the replacement',
  );
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble(), []);
});
