// Who wrote which line, and the project as one file.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

let ide;
let me;

before(async () => {
  ide = await startIde();
  await ide.api.commit('shop', 'main', { 'poem.txt': 'one\ntwo\n' }, 'the first lines');
  await ide.api.commit('shop', 'main', { 'poem.txt': 'one\ntwo\nthree\n' }, 'the third line');
  me = await ide.open();
});

after(() => ide?.stop());

/** What stands beside the text, line by line from the top: decorations are in style sheets. */
const beside = (pseudo) =>
  me.page.locator('.editor-group-container.active .editor-instance .view-line').evaluateAll(
    (lines, side) =>
      lines
        .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
        .map((line) =>
          [...line.querySelectorAll('span')].map((part) => getComputedStyle(part, side).content.replace(/^none$|^normal$|"/g, '')).join(''),
        ),
    pseudo,
  );

async function isBeside(pseudo, expected, what) {
  let seen;
  const reached = async () => {
    seen = (await beside(pseudo)).slice(0, expected.length).map((text) => text.replaceAll('\u00a0', '').trim());
    return expected.every((pattern, at) => pattern.test(seen[at] ?? ''));
  };
  await until(reached, what).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(seen)}`));
}

test('the current line says who wrote it, when and why', async () => {
  await me.edit('poem.txt');
  await me.page.keyboard.press('Control+Home');
  await isBeside('::after', [/^\S.*, .+ · the first lines$/, /^$/, /^$/], 'the author of the first line');
  await me.page.keyboard.press('ArrowDown');
  await me.page.keyboard.press('ArrowDown');
  await isBeside('::after', [/^$/, /^$/, / · the third line$/], 'the author of the third line');
});

test('every line has its author until they are hidden', async () => {
  const [third, first] = (await ide.api.call('GET', '/projects/shop/commits?ref=main&limit=2')).items;
  const of = ({ id }) => new RegExp(`^${id.slice(0, 8)} \\S`);
  await me.command('Workroom: Toggle Authors of Lines');
  await isBeside('::before', [of(first), /^$/, of(third)], 'the authors');
  await me.command('Workroom: Toggle Authors of Lines');
  await isBeside('::before', [/^$/, /^$/, /^$/], 'no authors');
});

test('authors are not told of text that has changed', async () => {
  await me.command('Workroom: Toggle Authors of Lines');
  await isBeside('::before', [/^[0-9a-f]{8} /], 'the authors');
  await me.page.keyboard.press('Control+Home');
  await me.page.keyboard.type('zero\n');
  await isBeside('::before', [/^$/, /^$/, /^$/, /^$/], 'no authors');
  await isBeside('::after', [/^$/, /^$/, /^$/, /^$/], 'no author');
});

test('the project comes as a ZIP archive', async () => {
  const coming = me.page.waitForEvent('download');
  await me.command('Workroom: Download as ZIP');
  const download = await coming;
  assert.match(download.suggestedFilename(), /^shop-[0-9a-f]{7,}\.zip$/);
  const bytes = await readFile(await download.path());
  assert.equal(bytes.subarray(0, 4).toString('latin1'), 'PK\x03\x04');
  assert.ok(bytes.includes('poem.txt'));
});

test('a folder comes as a ZIP archive from its menu', async () => {
  await me.page.keyboard.press('Control+Shift+E');
  const folder = me.page.locator('.explorer-folders-view').getByRole('treeitem', { name: 'functions' }).first();
  const coming = me.page.waitForEvent('download');
  await me.menu(folder, 'Download as ZIP');
  const bytes = await readFile(await (await coming).path());
  assert.ok(bytes.includes('app.py') && !bytes.includes('poem.txt'));
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble(), []);
});
