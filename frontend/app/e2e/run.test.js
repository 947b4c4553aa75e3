// Build, deploy, open, invoke, follow; and what a broken build says.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessible, open, signIn, unbroken } from './pages.js';

const BUILD_MS = 120_000;
let walk;
let page;

before(async () => {
  walk = await open();
  page = walk.page;
  await walk.api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter: 'python' });
  await signIn(page, walk.home, walk.platform.admin);
});
after(() => walk?.close());

test('a build is followed to its end', async () => {
  await walk.visit('/p/shop');
  await page.getByRole('button', { name: 'Build' }).click();
  await page.locator('.state.succeeded').waitFor({ timeout: BUILD_MS });
  await page.locator('.log .line').first().waitFor();
  await page.getByRole('heading', { name: 'Artifacts' }).waitFor();
  await accessible(page, 'build');
});

test('a deploy is followed to its live site, called and its log read', async () => {
  await page.getByRole('button', { name: 'Deploy to dev' }).click();
  await page.getByRole('link', { name: 'Open site' }).waitFor({ timeout: BUILD_MS });
  await page.locator('.log .line').first().waitFor();
  await accessible(page, 'job');
  const site = await page.getByRole('link', { name: 'Open site' }).getAttribute('href');
  assert.notEqual(new URL(site).host, new URL(walk.platform.address).host, 'the site has an origin of its own');
  const live = await walk.context.newPage();
  await live.goto(site);
  await live.getByRole('heading').first().waitFor();
  await live.close();

  await walk.visit('/p/shop/environments/dev');
  const invoke = page.getByRole('button', { name: 'Invoke', exact: true });
  await invoke.waitFor();
  await page.getByLabel('Event from the repository').selectOption({ index: 1 });
  await invoke.click();
  await page.getByRole('heading', { name: 'Result' }).waitFor();
  await page.locator('.log .line.report').first().waitFor();
  await accessible(page, 'environment');
  await walk.visit('/p/shop/environments');
  await page.getByText('Deploy this release').waitFor();
  await accessible(page, 'environments');
});

test('a broken build says why', async () => {
  await walk.visit('/p/shop/file?ref=main&path=template.yaml');
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+Home');
  await page.keyboard.type('Resources: [');
  await page.getByText(/Draft saved/).waitFor();
  // The platform says so while it is written, and where.
  await page.getByRole('region', { name: 'Problems' }).getByRole('button').first().waitFor();
  await accessible(page, 'problems of a template');
  await page.getByRole('button', { name: 'Commit…' }).click();
  await page.getByLabel('Message').fill('break it');
  await page.getByRole('button', { name: /^Commit 1/ }).click();
  await page.getByRole('heading', { name: 'break it' }).waitFor();
  await walk.visit('/p/shop');
  await page.getByRole('button', { name: 'Build' }).click();
  await page.locator('.state.failed').waitFor({ timeout: BUILD_MS });
  await page.getByRole('alert').getByRole('link', { name: /^template\.yaml:\d+/ }).click();
  await page.locator('.cm-activeLine').waitFor();
  await walk.visit('/p/shop/jobs');
  await page.locator('.rows .state.failed').waitFor();
  await accessible(page, 'jobs');
});

test('a job of any project is in the console', async () => {
  await walk.visit('/admin/jobs');
  await page.locator('.rows .state.failed').waitFor();
  await page.getByLabel('State').selectOption('succeeded');
  await page.locator('.rows .state.failed').waitFor({ state: 'detached' });
  await page.locator('.rows .state.succeeded').first().waitFor();
  await accessible(page, 'jobs of the platform');
});

test('nothing was asked of another host, and no page broke', () => unbroken(walk));
