// The workbench, used as people use it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { client, openPage, startBrowser, startPlatform } from './platform.js';

/** What the first start may fetch (API Gateway is asked for each). */
const REQUESTS_MAX = 80;
const BYTES_MAX = 3_500_000;

let platform;
let browser;
let opened;
let page;
let api;

before(async () => {
  platform = await startPlatform({
    ...(process.env.WORKROOM_PROGRAM ? { program: process.env.WORKROOM_PROGRAM } : {}),
    options: process.env.WORKROOM_OPTIONS?.split(' ') ?? [],
  });
  browser = await startBrowser();
  opened = await openPage(browser);
  page = opened.page;
  opened.context.setDefaultTimeout(20_000);
  api = client(platform.address);
  await api.signIn(platform.admin);
  await api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter: 'python' });
});

after(async () => {
  await browser?.close();
  await platform?.stop();
});

/** Asks until the answer is the one that is waited for. */
async function until(ask, what) {
  for (let round = 0; round < 200; round += 1) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`${what} did not come`);
}

async function command(name) {
  await page.keyboard.press('F1');
  await page.locator('.quick-input-widget .quick-input-box input').fill(`>${name}`);
  await page.locator('.quick-input-list .monaco-list-row').first().waitFor();
  await page.keyboard.press('Enter');
}

async function edit(name) {
  await page.getByRole('treeitem', { name, exact: false }).first().dblclick();
  await page.getByRole('tab', { name, selected: true }).waitFor();
  await page.locator('.editor-instance .view-line').first().click();
}

test('the workbench opens from the project with what it may fetch', async () => {
  await page.goto(`${platform.address}/static/index.html`);
  await page.getByLabel('E-mail').fill(platform.admin.email);
  await page.getByLabel('Password').fill(platform.admin.password);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Shop' }).click();
  let [requests, bytes] = [0, 0];
  page.on('response', (response) => {
    requests += 1;
    bytes += Number(response.headers()['content-length'] ?? 0);
  });
  await page.getByRole('link', { name: 'Open in the IDE' }).click();
  await edit('README.md');
  assert.ok(requests <= REQUESTS_MAX, `${requests} requests`);
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
});

test('what is typed is a draft at once, and a commit takes it', async () => {
  await page.keyboard.press('Control+End');
  await page.keyboard.type('\nFrom the workbench.\n');
  const drafts = async () => (await api.call('GET', '/projects/shop/drafts?branch=main')).items;
  await until(async () => (await drafts()).some((draft) => draft.path === 'README.md'), 'the draft');
  await page.keyboard.press('Control+Shift+G');
  const message = page.locator('.scm-view .scm-editor .view-line').first();
  await message.click();
  await page.keyboard.type('readme: from the workbench');
  await page.keyboard.press('Control+Enter');
  await until(async () => (await drafts()).length === 0, 'the commit');
  const { items } = await api.call('GET', '/projects/shop/commits?ref=main&limit=1');
  assert.equal(items[0].message.trim(), 'readme: from the workbench');
});

test('a commit from elsewhere appears in the open editor', async () => {
  const [branch] = (await api.call('GET', '/projects/shop/branches')).items;
  const changes = [{ action: 'put', path: 'README.md', content: 'Written elsewhere.\n' }];
  await api.call('POST', '/projects/shop/commits', {
    branch: 'main',
    expected_head: branch.commit,
    message: 'elsewhere',
    changes,
  });
  await page.locator('.editor-instance .view-line', { hasText: 'Written elsewhere.' }).waitFor();
});

test('a new file in a new folder is a draft', async () => {
  await page.keyboard.press('Control+Shift+E');
  await page.getByRole('treeitem', { name: 'template.yaml' }).click();
  await page.getByRole('button', { name: 'New File...' }).click();
  await page.locator('.explorer-item-edited input').fill('notes/first.md');
  await page.keyboard.press('Enter');
  await page.getByRole('tab', { name: 'first.md', selected: true }).waitFor();
  await page.locator('.editor-instance .view-line').first().click();
  await page.keyboard.type('# First\n');
  await until(async () => {
    const { items } = await api.call('GET', '/projects/shop/drafts?branch=main');
    return items.some((draft) => draft.path === 'notes/first.md' && draft.length > 0);
  }, 'the draft');
});

test('a build runs from the palette and a broken one marks the template', async () => {
  await command('Workroom: Build');
  await page.getByText('build succeeded.', { exact: true }).waitFor({ timeout: 60_000 });
  await page.getByRole('treeitem', { name: 'template.yaml' }).first().dblclick();
  await page.getByRole('tab', { name: 'template.yaml', selected: true }).waitFor();
  await page.locator('.editor-instance .view-line').first().click();
  await page.keyboard.press('Control+Home');
  await page.keyboard.type('Resources: [\n');
  await until(async () => {
    const { items } = await api.call('GET', '/projects/shop/drafts?branch=main');
    return items.some((draft) => draft.path === 'template.yaml');
  }, 'the draft');
  await page.keyboard.press('Control+Shift+G');
  await page.locator('.scm-view .scm-editor .view-line').first().click();
  await page.keyboard.type('break it');
  await page.keyboard.press('Control+Enter');
  await until(async () => {
    const { items } = await api.call('GET', '/projects/shop/commits?ref=main&limit=1');
    return items[0].message.trim() === 'break it';
  }, 'the commit');
  await command('Workroom: Build');
  await page.getByText(/build failed/).first().waitFor({ timeout: 60_000 });
  await page.keyboard.press('Control+Shift+M');
  await page.locator('.markers-panel .monaco-list-row', { hasText: 'template.yaml' }).first().waitFor();
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(opened.foreign, []);
  // The workbench writes its own notifications to the console.
  const expected = ['Failed to load resource', 'build failed: template.yaml'];
  const trouble = opened.trouble.filter((line) => !expected.some((text) => line.includes(text)));
  assert.deepEqual(trouble, []);
});
