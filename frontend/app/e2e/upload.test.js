// The files area: small and large, paused, interrupted by a reload, and the same when it comes back.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { desktop, digest, MIB, PART_MIB, slowly } from './files.js';
import { accessible, open, signIn, unbroken } from './pages.js';

const LARGE_MIB = 200;
const UPLOAD_MS = 180_000;

const { folder, file, remove } = desktop();
let walk;
let page;

before(async () => {
  walk = await open();
  page = walk.page;
  await walk.api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter: 'empty' });
  await signIn(page, walk.home, walk.platform.admin);
});
after(async () => {
  await walk?.close();
  remove();
});

async function comesBackAsSent(path, name) {
  const link = page.getByRole('button', { name, exact: true });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  assert.equal(await digest(await download.path()), await digest(path));
}

const choose = (...paths) => page.locator('#upload').setInputFiles(paths);

test('several files go straight to storage and come back the same', async () => {
  await walk.visit('/p/shop/storage');
  await page.getByText('No files yet.').waitFor();
  await accessible(page, 'files area, empty');
  const paths = [file('one.bin', 24), file('two.bin', 1)];
  await choose(...paths);
  await page.locator('.upload.done').nth(1).waitFor({ timeout: UPLOAD_MS });
  await accessible(page, 'files area');
  await comesBackAsSent(paths[0], 'one.bin');
  await page.getByRole('button', { name: 'Delete: two.bin' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'two.bin', exact: true }).waitFor({ state: 'detached' });
});

test('200 MB go on where a reload stopped them', async () => {
  const path = file('large.bin', LARGE_MIB);
  const quick = await slowly(page, 1000);
  await choose(path);
  const row = page.locator('.upload', { hasText: 'large.bin' });
  // Three parts are on their way at once: past 30 % at least one has arrived.
  await row.getByText(/Sending [3-9]\d/).waitFor({ timeout: UPLOAD_MS });
  page.once('dialog', (asked) => asked.accept());
  await page.reload();
  await row.getByText('Interrupted.').waitFor();
  await accessible(page, 'an interrupted upload');

  // Another file is not taken for it.
  const other = join(folder, 'other.bin');
  writeFileSync(other, 'other');
  const chooser = page.getByLabel('Choose file: large.bin');
  await chooser.setInputFiles(other);
  await page.getByRole('alert').waitFor();

  await quick();
  const parts = [];
  page.on('request', (request) => {
    if (request.method() === 'PUT') parts.push(request.url());
  });
  await chooser.setInputFiles(path);
  await page.locator('.upload.done', { hasText: 'large.bin' }).waitFor({ timeout: UPLOAD_MS });
  const { items } = await walk.api.call('GET', '/projects/shop/files');
  const stored = items.find((found) => found.path === 'large.bin');
  assert.equal(stored.length, LARGE_MIB * MIB);
  assert.equal(stored.sha256, await digest(path));
  assert.ok(parts.length > 0, 'nothing was left to send');
  assert.ok(parts.length < Math.ceil(LARGE_MIB / PART_MIB), 'all was sent again');
  await comesBackAsSent(path, 'large.bin');
});

test('an upload is paused, goes on, and another is cancelled', async () => {
  let quick = await slowly(page, 1000);
  const path = file('paused.bin', 80);
  await choose(path);
  const row = page.locator('.upload', { hasText: 'paused.bin' });
  await page.getByRole('button', { name: 'Pause: paused.bin' }).click({ timeout: UPLOAD_MS });
  await row.getByText(/^Paused at/).waitFor();
  await accessible(page, 'a paused upload');
  await quick();
  await page.getByRole('button', { name: 'Go on: paused.bin' }).click();
  await page.locator('.upload.done', { hasText: 'paused.bin' }).waitFor({ timeout: UPLOAD_MS });

  quick = await slowly(page, 1000);
  await choose(file('cancelled.bin', 80));
  await page.getByRole('button', { name: 'Pause: cancelled.bin' }).waitFor({ timeout: UPLOAD_MS });
  await page.getByRole('button', { name: 'Cancel: cancelled.bin' }).click();
  await page.locator('.upload.cancelled', { hasText: 'cancelled.bin' }).waitFor();
  await quick();
  await page.reload();
  await page.getByRole('button', { name: 'paused.bin', exact: true }).waitFor();
  assert.equal(await page.locator('.upload').count(), 0, 'a cancelled upload came back');
});

test('nothing was asked of another host, and no page broke', () => unbroken(walk));
