// The workbench in a test's hands: a platform with a project, and pages of people in it.

import assert from 'node:assert/strict';

import { client, openPage, startBrowser, startPlatform, WAIT_MS } from './platform.js';

/** A lost network is in the console, and work that the workbench itself gave up. */
const EXPECTED = ['Failed to load resource', 'WebSocket connection', 'net::ERR_INTERNET_DISCONNECTED', 'error: Canceled'];

/** Asks until the answer is the one that is waited for. */
export async function until(ask, what) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; ) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`${what} did not come`);
}

/** A platform with the project `shop`, and a browser. */
export async function startIde({ starter = 'python' } = {}) {
  const platform = await startPlatform({
    ...(process.env.WORKROOM_PROGRAM ? { program: process.env.WORKROOM_PROGRAM } : {}),
    options: process.env.WORKROOM_OPTIONS?.split(' ') ?? [],
  });
  const browser = await startBrowser();
  const api = { ...client(platform.address), text: await reader(platform) };
  await api.signIn(platform.admin);
  await api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter });
  const pages = [];

  return {
    platform,
    browser,
    api,
    /** Another person who may write. */
    async invite(name) {
      const email = `${name.toLowerCase()}@example.com`;
      const password = 'correct horse battery';
      const account = await api.call('POST', '/accounts', { email, name, password });
      await api.call('PUT', `/projects/shop/members/${account.id}`, { role: 'developer' });
      return { email, password, id: account.id };
    },
    /** Opens the project as a person; in the browser of `beside` when it is the same person again. */
    async open({ person = platform.admin, beside, path = '', options = {}, beforeOpening } = {}) {
      const opened = beside ? { ...beside, page: await beside.context.newPage() } : await openPage(browser, options);
      opened.context.setDefaultTimeout(WAIT_MS);
      const { page } = opened;
      if (!beside) await signIn(page, platform.address, person);
      beforeOpening?.(page);
      await page.goto(`${platform.address}/static/ide/index.html?project=shop${path}`);
      await page.getByRole('treeitem', { name: 'template.yaml' }).first().waitFor();
      const ide = hands(page, opened);
      pages.push(ide);
      return ide;
    },
    /** What broke, apart from what the test provoked. */
    trouble(...provoked) {
      const lines = pages.flatMap(({ opened }) => opened.trouble);
      return lines.filter((line) => ![...EXPECTED, ...provoked].some((text) => line.includes(text)));
    },
    foreign: () => pages.flatMap(({ opened }) => opened.foreign),
    async stop() {
      await browser.close();
      await platform.stop();
    },
  };
}

/** Reads the text of what is not JSON, as the admin. */
async function reader({ address, admin }) {
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(`${address}/sessions`, { method: 'POST', headers, body: JSON.stringify(admin) });
  const { access_token } = await answer.json();
  return async (path) => {
    const read = await fetch(address + path, { headers: { Authorization: `Bearer ${access_token}` } });
    if (!read.ok) throw new Error(`GET ${path}: ${read.status}`);
    return read.text();
  };
}

async function signIn(page, address, { email, password }) {
  await page.goto(`${address}/static/index.html`);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Shop' }).waitFor();
}

/** What a person does with the workbench. */
function hands(page, opened) {
  return {
    page,
    opened,
    context: opened.context,
    /** Runs a command from the palette. */
    async command(name) {
      const input = page.locator('.quick-input-widget .quick-input-box input');
      // What is under way may take the focus, and with it the palette, away.
      for (let round = 0; round < 5 && !(await input.isVisible()); round += 1) {
        await page.keyboard.press('F1');
        await input.waitFor({ timeout: 4000 }).catch(() => undefined);
      }
      await input.fill(`>${name}`);
      await page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first().waitFor();
      await page.keyboard.press('Enter');
    },
    /** Opens a file by its name, as quick open finds it. */
    async file(name) {
      await page.keyboard.press('Control+P');
      const input = page.locator('.quick-input-widget .quick-input-box input');
      await input.waitFor();
      await input.fill(name);
      await page.locator('.quick-input-list .monaco-list-row', { hasText: name.split('/').pop() }).first().waitFor();
      await page.keyboard.press('Enter');
      await this.tab(name.split('/').pop());
    },
    /** Opens a file of the first level from the explorer. */
    async edit(name) {
      await page.keyboard.press('Control+Shift+E');
      await page.locator('.explorer-folders-view').getByRole('treeitem', { name, exact: false }).first().dblclick();
      await this.tab(name);
    },
    async tab(name) {
      await page.getByRole('tab', { name, selected: true }).first().waitFor();
      await page.locator('.editor-instance .view-line').first().waitFor();
      await page.locator('.editor-group-container.active .editor-instance .overflow-guard').first().click();
    },
    /** Picks an answer of a quick pick. */
    async pick(name) {
      await page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first().click();
    },
    /** Presses a button of a notification. */
    async answer(name) {
      await page.locator('.notifications-toasts').getByRole('button', { name, exact: true }).first().click();
    },
    /** Presses a button of a dialog. */
    async confirm(name) {
      await page.locator('.monaco-dialog-box').getByRole('button', { name, exact: true }).click();
    },
    /** Chooses from the menu of a row. */
    async menu(row, name) {
      const item = page.getByRole('menuitem', { name, exact: true });
      await row.click({ button: 'right' });
      await item.waitFor();
      // For its first 100 ms a menu takes no click: it could be the one that opened it. Timers of one page end in their order.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
      await item.click();
    },
    /** Presses a button that a row of a list shows while the mouse is over it; the list may be drawn anew meanwhile. */
    async action(row, name) {
      const button = row.getByRole('button', { name });
      for (let round = 0; round < 10; round += 1) {
        await row.hover();
        try {
          await button.click({ timeout: 2000 });
          return;
        } catch (error) {
          if (round === 9) throw error;
          await page.mouse.move(600, 300);
        }
      }
    },
    notice: (text) => page.locator('.notifications-toasts', { hasText: text }).first(),
    line: (text) => page.locator('.editor-instance .view-line', { hasText: text }).first(),
    status: (text) => page.locator('.statusbar-item', { hasText: text }).first(),
    async commit(message) {
      await page.keyboard.press('Control+Shift+G');
      await page.locator('.scm-view .scm-input .view-line, .scm-view .scm-editor .view-line').first().click();
      await page.keyboard.type(message);
      await page.keyboard.press('Control+Enter');
    },
  };
}
