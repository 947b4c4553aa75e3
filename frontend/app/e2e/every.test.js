// What holds for every page: no axe finding in light and dark, a phone's width, two languages, and the keyboard alone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessible, open, signIn, unbroken } from './pages.js';
import { pagesOf, settle } from './world.js';

let walk;
let page;
let pages;

before(async () => {
  walk = await open();
  page = walk.page;
  pages = pagesOf(await settle(walk.api));
  await signIn(page, walk.home, walk.platform.admin);
});
after(() => walk?.close());

test('every page in light and dark', async () => {
  for (const [name, hash, complete] of pages) {
    await walk.visit(hash);
    await complete(page).waitFor();
    await accessible(page, name);
  }
});

test('every page on a phone, in Korean', async () => {
  const phone = await walk.window({ viewport: { width: 375, height: 740 }, locale: 'ko-KR' });
  await phone.page.goto(walk.home);
  await phone.page.getByLabel('이메일').fill(walk.platform.admin.email);
  await phone.page.getByLabel('비밀번호').fill(walk.platform.admin.password);
  await phone.page.getByRole('button', { name: '로그인' }).click();
  await phone.page.getByRole('heading', { name: '프로젝트' }).waitFor();
  for (const [name, hash, complete] of pages) {
    await phone.visit(hash);
    await complete(phone.page).waitFor({ state: 'attached' });
    await accessible(phone.page, `${name} on a phone, in Korean`);
    const english = await phone.page.locator('main button, main label').allInnerTexts();
    assert.ok(english.length === 0 || english.join('').match(/[가-힣]/), `${name} says nothing in Korean`);
  }
  unbroken(phone);
});

test('the keyboard alone leads from the projects to a commit', async () => {
  await walk.visit('/');
  await page.getByRole('link', { name: 'Order shop' }).waitFor();
  // From here on nothing but keys.
  const reach = async (name, role = 'link') => {
    for (let tabs = 0; tabs < 80; tabs += 1) {
      await page.keyboard.press('Tab');
      if (await page.getByRole(role, { name }).first().evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail(`${name} cannot be reached by Tab`);
  };
  await reach('Order shop');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Order shop' }).waitFor();
  await reach('Commits');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Commits' }).waitFor();
  await reach('Count the stock anew');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Count the stock anew' }).waitFor();
  await page.keyboard.press('p');
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
  await page.getByLabel('Search projects').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('order');
  assert.equal(await page.getByLabel('Search projects').inputValue(), 'order');
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: 'Projects' }).click();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('a dialog keeps the focus and gives it back', async () => {
  await walk.visit('/p/order-shop/branches');
  const button = page.getByRole('button', { name: 'New branch' });
  await button.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  for (let tabs = 0; tabs < 8; tabs += 1) {
    await page.keyboard.press('Tab');
    const outside = await page.evaluate(() => {
      const at = document.activeElement;
      return at !== document.body && !at?.closest('dialog');
    });
    assert.ok(!outside, 'the focus left the dialog');
  }
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.ok(await button.evaluate((element) => element === document.activeElement), 'the focus did not come back');
});

test('a page that is not there says so, with a way on', async () => {
  await walk.visit('/p/nothing-here');
  await page.getByRole('alert').waitFor();
  await accessible(page, 'no such project');
  for (const missing of ['commits/0000000000000000000000000000000000000000', 'jobs/none', 'environments/none']) {
    await walk.visit(`/p/order-shop/${missing}`);
    await page.getByRole('alert').waitFor();
    await accessible(page, missing);
  }
  await walk.visit('/no-such-page');
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await accessible(page, 'not found');
  await page.locator('main').getByRole('link', { name: 'Projects' }).click();
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
});

test('when the platform is away, a page says so and tries again', async () => {
  await walk.context.route('**/projects/order-shop/jobs*', (route) => route.abort());
  await walk.visit('/p/order-shop/jobs');
  await page.getByRole('alert').getByText('could not be reached').waitFor();
  await accessible(page, 'the platform is away');
  await walk.context.unroute('**/projects/order-shop/jobs*');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.rows li').first().waitFor();
});

test('nothing was asked of another host, and no page broke', () => unbroken(walk));
