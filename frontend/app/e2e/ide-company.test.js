// Two people in one project: who is where, a colleague's draft of the same file, what a colleague pushes, and one's own
// settings on another computer.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

let ide;
let me;
let kim;
let person;

before(async () => {
  ide = await startIde();
  person = await ide.invite('Kim');
  me = await ide.open();
  kim = await ide.open({ person });
});

after(() => ide?.stop());

test('each sees who else is here and in which file', async () => {
  await kim.edit('README.md');
  await me.page.getByRole('button', { name: /Kim.*README\.md/ }).waitFor();
  const badge = () =>
    me.page
      .locator('.explorer-folders-view .monaco-list-row', { hasText: 'README.md' })
      .locator('.label-name, .monaco-icon-label')
      .evaluateAll((labels) => labels.map((label) => getComputedStyle(label, '::after').content).join(' '));
  await until(async () => (await badge()).includes('KI'), 'the initials in the explorer');
  await kim.page.close();
  await me.page.getByRole('button', { name: /Kim.*README\.md/ }).waitFor({ state: 'detached' });
  kim = await ide.open({ beside: kim.opened });
});

test('a colleague’s draft of the same file is said, with the difference one click away', async () => {
  await kim.edit('samconfig.toml');
  await kim.page.keyboard.press('Control+End');
  await kim.page.keyboard.type('\n# from Kim\n');
  await until(
    async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main&everyone=true')).items.length > 0,
    'the draft of the colleague',
  );
  await me.edit('samconfig.toml');
  await me.page.keyboard.press('Control+Home');
  await me.page.keyboard.type('# from me\n');
  await me.notice('Kim has unfinished changes of samconfig.toml').waitFor();
  await me.answer('Compare');
  await me.page.getByRole('tab', { name: /samconfig\.toml: Kim/ }).waitFor();
  await me.page.locator('.monaco-diff-editor .view-line', { hasText: '# from Kim' }).first().waitFor();
});

test('a push is said with the name of who pushed, and what it changed', async () => {
  await kim.commit('settings from Kim');
  await me.notice('Kim pushed to main').waitFor();
  await me.answer('Show Changes');
  await me.page.getByRole('tab', { name: /^main [0-9a-f]{8}…[0-9a-f]{8}/ }).waitFor();
});

test('what a push changed is there again after a reload', async () => {
  const line = me.page.locator('.view-line', { hasText: '# from Kim' }).first();
  await line.waitFor();
  // The state of the tabs is kept a moment after it changes.
  const kept = () =>
    me.page.evaluate(async () => {
      const done = (request) => new Promise((resolve) => request.addEventListener('success', () => resolve(request.result)));
      for (const { name } of await indexedDB.databases()) {
        const database = await done(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
          const all = await done(database.transaction(store).objectStore(store).getAll());
          if (all.some((value) => typeof value === 'string' && value.includes('workroom-committed'))) return true;
        }
        database.close();
      }
      return false;
    });
  await until(kept, 'the kept tab');
  await me.page.reload();
  await me.page.getByRole('tab', { name: /^main [0-9a-f]{8}…[0-9a-f]{8}/ }).waitFor();
  await line.waitFor();
});

test('settings follow the person to another browser', async () => {
  await kim.command('Preferences: Open User Settings (JSON)');
  await kim.tab('settings.json');
  await kim.page.keyboard.press('Control+A');
  await kim.page.keyboard.type('{ "window.autoDetectColorScheme": false, "workbench.colorTheme": "Default High Contrast"');
  await kim.page.keyboard.press('Control+S');
  await kim.page.locator('.monaco-workbench.hc-black').waitFor();
  await until(async () => {
    const other = await kim.page.evaluate(async () => (await fetch('/me/settings')).json());
    return JSON.stringify(other).includes('High Contrast');
  }, 'the stored settings');
  const elsewhere = await ide.open({ person });
  await elsewhere.page.locator('.monaco-workbench.hc-black').waitFor();
});

test('the workbench speaks Korean to whoever chose it', async () => {
  const { page } = await ide.open();
  await page.evaluate(() => localStorage.setItem('workroom.language', 'ko'));
  await page.reload();
  await page.getByRole('treeitem', { name: 'template.yaml' }).first().waitFor();
  await page.locator('.sidebar .title-label', { hasText: '탐색기' }).waitFor();
  await page.locator('.explorer-folders-view').getByRole('treeitem', { name: 'template.yaml' }).click({ button: 'right' });
  const menu = page.locator('.context-view .action-label');
  await menu.filter({ hasText: '이름 바꾸기...' }).waitFor();
  const texts = (await menu.allInnerTexts()).filter((text) => text.trim() !== '');
  const english = texts.filter((text) => !/[가-힣]/.test(text));
  assert.ok(english.length <= texts.length / 4, `in English: ${english.join(', ')}`);
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble(), []);
});
