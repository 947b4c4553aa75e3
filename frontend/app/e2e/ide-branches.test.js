// Commits between branches: taken over, taken back, a branch deleted, and a commit that others have.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

let ide;
let me;

before(async () => {
  ide = await startIde();
  await ide.api.call('POST', '/projects/shop/branches', { name: 'idea', from: 'main' });
  await ide.api.commit('shop', 'idea', { 'notes.md': 'From the idea.\n' }, 'a note on the idea');
  me = await ide.open();
});

after(() => ide?.stop());

const newest = async (branch = 'main') => (await ide.api.call('GET', `/projects/shop/commits?ref=${branch}&limit=1`)).items[0];
const subject = async (branch) => (await newest(branch)).message.split('\n', 1)[0];
const names = async () => (await ide.api.call('GET', '/projects/shop/branches')).items.map(({ name }) => name);
const row = (name) => me.page.locator('.explorer-folders-view').getByRole('treeitem', { name });

test('a commit of another branch is taken over', async () => {
  await me.command('Workroom: Cherry-pick a Commit');
  await me.pick('idea');
  await me.pick('a note on the idea');
  await until(async () => (await subject()) === 'a note on the idea', 'the commit');
  await row('notes.md').waitFor();
  assert.equal(await ide.api.text('/projects/shop/file?ref=main&path=notes.md'), 'From the idea.\n');
});

test('a commit is taken back from the history', async () => {
  await me.command('Workroom: Branch History');
  await me.pick('a note on the idea');
  await me.pick('Revert Commit');
  await until(async () => /^Revert /.test(await subject()), 'the revert');
  await row('notes.md').waitFor({ state: 'detached' });
});

test('a cherry-pick that meets other lines is merged by hand, and nothing is stored when it is given up', async () => {
  await ide.api.commit('shop', 'idea', { 'README.md': 'The idea’s readme.\n' }, 'readme of the idea');
  await ide.api.commit('shop', 'main', { 'README.md': 'The readme of main.\n' }, 'readme of main');
  const before = await newest();
  await me.command('Workroom: Cherry-pick a Commit');
  await me.pick('idea');
  await me.pick('readme of the idea');
  await me.page.locator('.monaco-dialog-box', { hasText: 'README.md: both changed the same lines' }).waitFor();
  await me.confirm('Cancel');
  await me.notice('given up, nothing was changed').waitFor();
  assert.equal((await newest()).id, before.id);
  await me.command('Workroom: Cherry-pick a Commit');
  await me.pick('idea');
  await me.pick('readme of the idea');
  await me.confirm('Take Theirs');
  await until(async () => (await subject()) === 'readme of the idea', 'the commit');
  assert.equal(await ide.api.text('/projects/shop/file?ref=main&path=README.md'), 'The idea’s readme.\n');
});

test('a commit that others have is not amended, and the draft stays', async () => {
  await me.edit('samconfig.toml');
  await me.page.keyboard.press('Control+End');
  await me.page.keyboard.type('\n# mine\n');
  await me.commit('mine, and seen by others');
  await until(async () => (await subject()) === 'mine, and seen by others', 'the commit');
  const { id } = await newest();
  await ide.api.call('POST', '/projects/shop/branches', { name: 'theirs', from: 'main' });
  await me.edit('samconfig.toml');
  await me.page.keyboard.press('Control+End');
  await me.page.keyboard.type('# more\n');
  const drafts = async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main')).items;
  await until(async () => (await drafts()).length === 1, 'the draft');
  await me.command('Workroom: Amend Last Commit');
  await me.notice('Others have this commit').waitFor();
  assert.equal((await newest()).id, id);
  assert.equal((await drafts()).length, 1);
});

test('a branch is deleted after a question, and the open one cannot be chosen', async () => {
  await me.command('Workroom: Delete Branch');
  const choices = me.page.locator('.quick-input-list .monaco-list-row');
  await choices.filter({ hasText: 'theirs' }).waitFor();
  const offered = await choices.evaluateAll((rows) => rows.map((row) => row.querySelector('.label-name')?.textContent));
  assert.deepEqual(offered.sort(), ['idea', 'theirs']);
  await me.pick('theirs');
  await me.confirm('Cancel');
  assert.ok((await names()).includes('theirs'));
  await me.command('Workroom: Delete Branch');
  await me.pick('theirs');
  await me.confirm('Delete');
  await until(async () => !(await names()).includes('theirs'), 'the deletion');
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble('Others have this commit'), []);
});
