// What the tests of the pages share: a platform with someone signed in, and what holds for every page.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { client, openPage, startBrowser, startPlatform, WAIT_MS } from './platform.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A platform, a browser, and the admin's page in it. */
export async function open({ options = [] } = {}) {
  const platform = await startPlatform({
    ...(process.env.WORKROOM_PROGRAM ? { program: process.env.WORKROOM_PROGRAM } : {}),
    options: [...(process.env.WORKROOM_OPTIONS?.split(' ') ?? []), ...options],
  });
  const browser = await startBrowser();
  const api = client(platform.address);
  await api.signIn(platform.admin);
  const home = `${platform.address}/static/index.html`;

  /** Another person's window. */
  const window = async (options) => {
    const opened = await openPage(browser, options);
    opened.context.setDefaultTimeout(WAIT_MS);
    return { ...opened, visit: (hash) => opened.page.goto(`${home}#${hash}`) };
  };
  const first = await window();
  return {
    platform,
    browser,
    api,
    home,
    window,
    ...first,
    async close() {
      await browser.close();
      await platform.stop();
    },
  };
}

export async function signIn(page, home, { email, password }) {
  await page.goto(home);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
}

/** No finding in light or dark, and nothing wider than the window. */
export async function accessible(page, what) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    // The policy forbids scripts in the page: this one comes from outside it.
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
    const said = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join('\n  ')}`);
    assert.deepEqual(said, [], `${what}, ${scheme}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  const { width, window } = await page.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  assert.ok(width <= window, `${what} is ${width} px wide in a window of ${window}`);
}

/** Nothing was asked of another host, and no page broke. */
export function unbroken({ foreign, trouble }) {
  assert.deepEqual(foreign, []);
  assert.deepEqual(trouble.filter((line) => !line.includes('Failed to load resource')), []);
}
