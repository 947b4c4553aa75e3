// Files from the desktop into the workbench: dropped, large, cancelled, and going on after a reload.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { desktop, digest, MIB, PART_MIB, slowly } from './files.js';
import { startIde, until } from './ide-page.js';

const LARGE_MIB = 200;
/** What the page may grow by while it sends them: parts under way and pieces of the checksum that are not swept yet (about 100 MiB, of
 * 500 MiB too), not the file. */
const GROWTH_MIB_MAX = 150;
const UPLOAD_MS = 180_000;

const { file, remove } = desktop();
let ide;
let me;

before(async () => {
  ide = await startIde();
  me = await ide.open();
});
after(async () => {
  await ide?.stop();
  remove();
});

const drafts = async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main')).items.map(({ path }) => path);
const stored = async (path) => (await ide.api.call('GET', '/projects/shop/files')).items.find((found) => found.path === path);
const folder = (name) => me.page.locator('.explorer-folders-view').getByRole('treeitem', { name }).first();

/** Lets go of files over a row, as the desktop does it. */
async function drop(row, files) {
  const { x, y, height } = await row.boundingBox();
  const at = { x: x + 60, y: y + height / 2, data: { items: [], files, dragOperationsMask: 1 } };
  const devtools = await me.context.newCDPSession(me.page);
  for (const type of ['dragEnter', 'dragOver', 'drop']) await devtools.send('Input.dispatchDragEvent', { type, ...at });
  await devtools.detach();
}

/** Uploads from the menu of a folder. */
async function upload(path) {
  const choosing = me.page.waitForEvent('filechooser');
  await me.menu(folder('events'), 'Upload...');
  await (await choosing).setFiles(path);
  await me.notice('too much for a draft').waitFor();
  await me.answer('Upload to Files');
}

/** Memory that the processes of pages hold, in MiB. */
async function pageMemory() {
  const devtools = await ide.browser.newBrowserCDPSession();
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo');
  await devtools.detach();
  const held = ({ id }) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0);
  return processInfo.filter(({ type }) => type === 'renderer').reduce((sum, process) => sum + held(process) / 1024, 0);
}

test('files that are dropped from the desktop are drafts, and what is too large is asked for', async () => {
  await drop(folder('events'), [file('one.bin', 1), file('two.bin', 6), file('three.bin', 7)]);
  await me.notice('2 files have 13.6 MB').waitFor();
  await me.answer('Upload to Files');
  await until(async () => (await drafts()).includes('events/one.bin'), 'the draft');
  await until(async () => (await stored('events/two.bin')) && (await stored('events/three.bin')), 'the stored files');
  assert.deepEqual(await drafts(), ['events/one.bin']);
});

test('200 MB go to the files area, and the page does not hold them', async (test) => {
  const path = file('large.bin', LARGE_MIB);
  const before = await pageMemory();
  await upload(path);
  let most = before;
  await me.page.locator('.notifications-toasts', { hasText: /Sent: \d+ %/ }).first().waitFor({ timeout: UPLOAD_MS });
  for (const end = Date.now() + UPLOAD_MS; !(await stored('events/large.bin')) && Date.now() < end; ) {
    most = Math.max(most, await pageMemory());
  }
  const there = await stored('events/large.bin');
  assert.equal(there?.length, LARGE_MIB * MIB);
  assert.equal(there.sha256, await digest(path));
  test.diagnostic(`the page grew by ${Math.round(most - before)} MiB`);
  assert.ok(most - before < GROWTH_MIB_MAX, `the page grew by ${Math.round(most - before)} MiB`);
  await me.notice('events/large.bin is in the files area').waitFor();
});

test('an upload that a reload interrupted goes on with the same file', async () => {
  const quick = await slowly(me.page, 1000);
  const path = file('again.bin', 160);
  await upload(path);
  // Three parts are on their way at once: past 40 % at least one has arrived.
  await me.page.locator('.notifications-toasts', { hasText: /Sent: [4-9]\d %/ }).first().waitFor({ timeout: UPLOAD_MS });
  me.page.once('dialog', (asked) => asked.accept());
  await me.page.reload();
  await me.notice('The upload of events/again.bin was interrupted').waitFor();
  await quick();
  const parts = [];
  me.page.on('request', (request) => {
    if (request.method() === 'PUT') parts.push(request.url());
  });
  await upload(path);
  await me.notice('events/again.bin is in the files area').waitFor({ timeout: UPLOAD_MS });
  assert.equal((await stored('events/again.bin')).sha256, await digest(path));
  assert.ok(parts.length > 0, 'nothing was left to send');
  assert.ok(parts.length < 160 / PART_MIB, 'all was sent again');
});

test('an upload is cancelled, and nothing stays of it', async () => {
  const quick = await slowly(me.page, 1000);
  const forgotten = me.page.waitForResponse((answer) => answer.request().method() === 'DELETE' && answer.url().includes('/uploads/'));
  await upload(file('cancelled.bin', 80));
  const toast = me.page.locator('.notification-toast', { hasText: /Uploading events\/cancelled\.bin.*Sent/ });
  await toast.getByRole('button', { name: 'Cancel' }).click({ timeout: UPLOAD_MS });
  assert.ok((await forgotten).ok());
  await quick();
  await me.page.reload();
  await folder('events').waitFor();
  assert.equal(await stored('events/cancelled.bin'), undefined);
  assert.equal(await me.page.evaluate(() => localStorage.getItem('workroom.uploads')), '[]');
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble(), []);
});
