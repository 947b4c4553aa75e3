// Source control in the workbench: what the next commit takes, deletions and moves, two people on one file, branches.

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

const drafts = async (branch = 'main') => (await ide.api.call('GET', `/projects/shop/drafts?branch=${branch}`)).items;
const paths = async () => (await drafts()).map(({ path, deleted }) => (deleted ? `-${path}` : path)).sort();
const newest = async (branch = 'main') => (await ide.api.call('GET', `/projects/shop/commits?ref=${branch}&limit=1`)).items[0];
const change = (name) => me.page.locator('.scm-view .monaco-list-row', { hasText: name }).first();

async function type(name, text) {
  await me.edit(name);
  await me.page.keyboard.press('Control+End');
  await me.page.keyboard.type(text);
  await until(async () => (await drafts()).some(({ path }) => path === name), `the draft of ${name}`);
}

/** Commits as a colleague with another client would. */
async function elsewhere(message, changes, branch = 'main') {
  const { items } = await ide.api.call('GET', '/projects/shop/branches');
  const head = items.find(({ name }) => name === branch).commit;
  return ide.api.call('POST', '/projects/shop/commits', { branch, expected_head: head, message, changes });
}

test('a commit takes the staged files and leaves the others', async () => {
  await type('README.md', '\nStaged.\n');
  await type('samconfig.toml', '\n# not staged\n');
  await me.page.keyboard.press('Control+Shift+G');
  await me.action(change('README.md'), 'Stage Changes');
  await change('Staged Changes').waitFor();
  await me.commit('only the readme');
  await until(async () => (await newest()).message.trim() === 'only the readme', 'the commit');
  assert.deepEqual(await paths(), ['samconfig.toml']);
});

test('a change that is discarded can be brought back', async () => {
  await me.action(change('samconfig.toml'), 'Discard Changes');
  await me.confirm('Discard');
  await until(async () => (await drafts()).length === 0, 'the discard');
  await me.answer('Undo');
  await until(async () => (await paths()).includes('samconfig.toml'), 'the draft again');
  assert.match(await ide.api.text('/projects/shop/draft?branch=main&path=samconfig.toml'), /# not staged/);
});

test('moving and deleting are changes for the next commit', async () => {
  await me.page.keyboard.press('Control+Shift+E');
  const row = (name) => me.page.locator('.explorer-folders-view').getByRole('treeitem', { name });
  await row('samconfig.toml').click();
  await me.page.keyboard.press('F2');
  await me.page.locator('.explorer-item-edited input').fill('settings.toml');
  await me.page.keyboard.press('Enter');
  await row('settings.toml').waitFor();
  await row('.gitignore').click();
  await me.page.keyboard.press('Delete');
  await me.confirm('Delete');
  await row('.gitignore').waitFor({ state: 'hidden' });
  await until(async () => (await paths()).length === 3, 'the drafts');
  assert.deepEqual(await paths(), ['-.gitignore', '-samconfig.toml', 'settings.toml']);
  await me.commit('move and delete');
  await until(async () => (await newest()).message.trim() === 'move and delete', 'the commit');
  const names = (await ide.api.call('GET', '/projects/shop/tree?ref=main')).items.map(({ name }) => name);
  assert.ok(names.includes('settings.toml') && !names.includes('samconfig.toml') && !names.includes('.gitignore'));
});

test('a file that a colleague committed meanwhile is merged before it is committed', async () => {
  await type('README.md', '\nMy last line.\n');
  const before = await ide.api.text('/projects/shop/file?ref=main&path=README.md');
  await elsewhere('their first line', [{ action: 'put', path: 'README.md', content: `Their first line.\n\n${before}` }]);
  await me.notice('README.md has changed on the branch').waitFor();
  await me.answer('Merge');
  await me.page.getByText('0 Conflicts Remaining').waitFor();
  await me.page.getByRole('button', { name: /^Complete Merge/ }).first().click();
  await me.line('Their first line.').waitFor();
  await me.commit('both lines');
  await until(async () => (await newest()).message.trim() === 'both lines', 'the commit');
  const merged = await ide.api.text('/projects/shop/file?ref=main&path=README.md');
  assert.match(merged, /^Their first line\.[^]*My last line\.\n$/);
});

test('the last commit is amended by whoever made it', async () => {
  const before = await newest();
  await type('README.md', '\nAmended.\n');
  await me.command('Workroom: Amend Last Commit');
  await until(async () => (await newest()).id !== before.id, 'the amended commit');
  const after = await newest();
  assert.equal(after.message.trim(), before.message.trim());
  assert.deepEqual(after.parents, before.parents);
});

test('changes go to a new branch as a commit, and leave this one', async () => {
  await type('template.yaml', '# on a branch\n');
  await me.page.keyboard.press('Control+Shift+G');
  await me.page.locator('.scm-view .scm-input .view-line, .scm-view .scm-editor .view-line').first().click();
  await me.page.keyboard.type('for a branch');
  await me.command('Workroom: Commit to New Branch');
  await me.page.locator('.quick-input-widget input').first().fill('idea');
  await me.page.keyboard.press('Enter');
  await me.page.waitForURL(/ref=idea/);
  await me.status('idea').waitFor();
  assert.equal((await newest('idea')).message.trim(), 'for a branch');
  assert.deepEqual(await drafts(), []);
});

test('a branch is updated, and what both changed is merged by hand', async () => {
  const text = await ide.api.text('/projects/shop/file?ref=idea&path=template.yaml');
  await elsewhere('on main', [{ action: 'put', path: 'template.yaml', content: text.replace('# on a branch', '# on main') }]);
  await me.command('Workroom: Update From Branch');
  await me.pick('main');
  await me.confirm('Merge');
  await me.page.getByText('1 Conflict Remaining').waitFor();
  await me.page.getByText('Accept Combination').first().click();
  await me.page.getByText('0 Conflicts Remaining').waitFor();
  await me.page.getByRole('button', { name: /^Complete Merge/ }).first().click();
  await until(async () => (await newest('idea')).parents.length === 2, 'the merge');
  const merged = await ide.api.text('/projects/shop/file?ref=idea&path=template.yaml');
  assert.match(merged, /# on main/);
  assert.match(merged, /# on a branch/);
});

test('the history of a file opens what a commit did to it', async () => {
  await me.edit('README.md');
  await me.command('Workroom: File History');
  await me.pick('both lines');
  await me.page.getByRole('tab', { name: /README\.md \([0-9a-f]{8}\)/ }).waitFor();
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble(), []);
});
