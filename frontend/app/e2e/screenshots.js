// Pictures of every page, light and dark, for docs/pages.md: `node e2e/screenshots.js`. Another folder and window can be named:
// `node e2e/screenshots.js /tmp/phone 375 740`.

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { open, signIn } from './pages.js';
import { pagesOf, settle } from './world.js';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../../docs/images', import.meta.url));
const WINDOW = { width: Number(process.argv[3] ?? 1000), height: Number(process.argv[4] ?? 620) };

const walk = await open();
const { page } = walk;
try {
  mkdirSync(folder, { recursive: true });
  const world = await settle(walk.api);
  await page.setViewportSize(WINDOW);

  const shoot = async (name) => {
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${folder}/${name}-${scheme}.png`, animations: 'disabled', caret: 'hide' });
    }
  };

  await page.goto(walk.home);
  await page.getByLabel('E-mail').waitFor();
  await shoot('sign-in');
  await signIn(page, walk.home, walk.platform.admin);
  for (const [name, hash, complete] of pagesOf(world)) {
    await walk.visit(hash);
    await complete(page).waitFor();
    await page.waitForLoadState('networkidle');
    await shoot(name);
  }
  await walk.visit('/p/order-shop/compare?base=main&head=feature%2Fprices');
  await page.getByRole('button', { name: 'Merge into main…' }).click();
  await page.getByRole('button', { name: 'Take both' }).waitFor();
  await page.locator('.three').scrollIntoViewIfNeeded();
  await shoot('merge');
} finally {
  await walk.close();
}
