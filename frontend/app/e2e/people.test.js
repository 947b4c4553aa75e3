// An admin invites a person, who comes by the link, works, and is looked after.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { accessible, open, signIn, unbroken } from './pages.js';

const person = { email: 'mina@example.com', name: 'Mina Park', password: 'correct horse battery' };
let admin;
let mina;

before(async () => {
  admin = await open();
  mina = await admin.window();
});
after(() => admin?.close());

test('a wrong password is said and the right one opens the projects', async () => {
  const { page, home, platform } = admin;
  await page.goto(home);
  await page.getByLabel('E-mail').fill(platform.admin.email);
  await page.getByLabel('Password').fill('not the password');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  await accessible(page, 'sign-in');
  await signIn(page, home, platform.admin);
  const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href]));
  assert.ok(!/eyJ|wrp_|wrs_/.test(stored), 'a token lies where scripts can read it');
  await accessible(page, 'projects, empty');
});

test('an invitation is a link that lets its person choose a password', async () => {
  const { page } = admin;
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.getByRole('button', { name: 'Invite person' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('E-mail').fill(person.email);
  await dialog.getByLabel('Name').fill(person.name);
  await dialog.getByRole('button', { name: 'Invite person' }).click();
  const link = await page.locator('.notice code').innerText();
  await page.locator('.rows').getByText(person.email).waitFor();
  await accessible(page, 'people');

  await mina.page.goto(link);
  await mina.page.getByRole('heading', { name: 'Welcome to Workroom' }).waitFor();
  const secret = link.slice(link.lastIndexOf('/') + 1);
  assert.ok(!mina.page.url().includes(secret), 'the secret stays in the address');
  await accessible(mina.page, 'invitation');
  await mina.page.locator('input[name=password]').fill(person.password);
  await mina.page.keyboard.press('Enter');
  await mina.page.getByText('Your password is set.').waitFor();
  await mina.page.getByRole('button', { name: 'Sign in' }).click();
  await signIn(mina.page, admin.home, person);

  // It works once.
  const late = await admin.window();
  await late.page.goto(link);
  await late.page.locator('input[name=password]').fill('another long password');
  await late.page.keyboard.press('Enter');
  await late.page.getByRole('alert').waitFor();
  await late.context.close();
});

test('the invited person creates a project from a starter', async () => {
  const { page } = mina;
  await page.getByRole('link', { name: 'New project' }).first().click();
  await page.getByLabel('Name', { exact: true }).fill('Order shop');
  await page.getByRole('radio', { name: /python/i }).check();
  await accessible(page, 'new project');
  await page.getByRole('button', { name: 'Create project' }).click();
  await page.getByRole('heading', { name: 'Latest commits' }).waitFor();
  // The readme is read, not shown as it is written.
  await page.getByRole('heading', { name: 'Starter' }).waitFor();
  await accessible(page, 'overview');
});

test('members are added by e-mail, and a removal can be taken back', async () => {
  const { page } = mina;
  await mina.visit('/p/order-shop/settings/members');
  await page.getByRole('button', { name: 'Add member' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('E-mail').fill('nobody@example.com');
  await dialog.getByRole('button', { name: 'Add member' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByLabel('E-mail').fill(admin.platform.admin.email);
  await dialog.getByRole('button', { name: 'Add member' }).click();
  await page.getByLabel('Role: Admin').waitFor();
  await accessible(page, 'members');
  await page.getByRole('button', { name: 'Remove: Admin' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.getByLabel('Role: Admin').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByLabel('Role: Admin').waitFor();
});

test('who else has the project open is shown', async () => {
  await admin.visit('/p/order-shop/file?ref=main&path=README.md');
  await mina.visit('/p/order-shop');
  await mina.page.getByRole('list', { name: 'Also here' }).getByRole('img', { name: /Admin · in README\.md/ }).waitFor();
  await admin.page.getByRole('list', { name: 'Also here' }).getByRole('img', { name: /Mina Park/ }).waitFor();
});

test('a colleague’s draft of the same file is told and shown', async () => {
  const append = async ({ page }, text) => {
    await page.locator('main .code-editor .cm-content').click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type(text);
    await page.getByText(/Draft saved/).waitFor();
  };
  await admin.visit('/p/order-shop/file?ref=main&path=README.md');
  await mina.visit('/p/order-shop/file?ref=main&path=README.md');
  await append(admin, 'From the admin.\n');
  const { page } = mina;
  await page.getByText(/Admin has a draft of this file/).waitFor();
  await page.getByRole('button', { name: 'See the difference' }).click();
  await page.getByRole('dialog').getByText('From the admin.').waitFor();
  await accessible(page, 'the draft of a colleague');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('usage, quota and the audit trail of a project', async () => {
  const { page } = mina;
  await mina.visit('/p/order-shop/settings/usage');
  await page.getByText('Job minutes').first().waitFor();
  await accessible(page, 'usage of a project');
  await mina.visit('/p/order-shop/settings/activity');
  await page.getByRole('cell', { name: 'project.created' }).waitFor();
  await page.getByLabel('Action, such as member.set').fill('member.removed');
  await page.getByRole('cell', { name: 'project.created' }).waitFor({ state: 'detached' });
  await page.getByRole('cell', { name: 'member.removed' }).waitFor();
  await accessible(page, 'audit trail of a project');
});

test('the console shows projects, jobs, usage and the audit trail, and each can be searched', async () => {
  const { page } = admin;
  await admin.visit('/admin/projects');
  await page.getByLabel('Search projects').fill('nothing like it');
  await page.getByText('Nothing matches “nothing like it”.').waitFor();
  await page.getByLabel('Search projects').fill('order');
  await page.getByRole('button', { name: 'Quota of Order shop' }).click();
  await page.getByRole('dialog').getByLabel('Job minutes a month').fill('77');
  await accessible(page, 'quota');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await accessible(page, 'projects of the platform');
  await mina.visit('/p/order-shop/settings/usage');
  await mina.page.getByText('of 77').waitFor();

  await admin.visit('/admin/jobs');
  await page.getByText('No job has run yet.').waitFor();
  await accessible(page, 'jobs of the platform');
  await admin.visit('/admin/usage');
  await page.getByRole('link', { name: 'Order shop' }).waitFor();
  await accessible(page, 'usage of the platform');
  await admin.visit('/admin/audit');
  await page.getByRole('cell', { name: 'project.created' }).waitFor();
  await accessible(page, 'audit trail of the platform');
});

test('a lost password is reset by a link', async () => {
  const { page } = admin;
  await admin.visit('/admin');
  await page.getByLabel('Search people').fill('mina');
  await page.getByText('admin@').waitFor({ state: 'detached' });
  await page.getByLabel('Actions: Mina Park').click();
  await page.getByRole('button', { name: 'Reset password' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reset password' }).click();
  const link = await page.locator('.notice code').innerText();
  person.password = 'a better horse battery';
  await mina.page.goto('about:blank');
  await mina.page.goto(link);
  await mina.page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
  await mina.page.locator('input[name=password]').fill(person.password);
  await mina.page.keyboard.press('Enter');
  await mina.page.getByText('Your password is set.').waitFor();
  await mina.page.getByRole('button', { name: 'Sign in' }).click();
  await signIn(mina.page, admin.home, person);
});

test('an admin is made and unmade, and a disabled person is signed out at once', async () => {
  const { page } = admin;
  const row = page.locator('.rows li', { hasText: 'Mina Park' });
  const act = async (name) => {
    await page.getByLabel('Actions: Mina Park').click();
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  };
  await act('Make admin');
  await row.getByText('admin', { exact: true }).waitFor();
  await act('Remove admin');
  await row.getByText('admin', { exact: true }).waitFor({ state: 'detached' });
  await act('Disable');
  await row.getByText('disabled').waitFor();
  await mina.page.reload();
  await mina.page.getByRole('button', { name: 'Sign in' }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await row.getByText('disabled').waitFor({ state: 'detached' });
});

test('signing out ends the session', async () => {
  const { page } = admin;
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
});

test('nothing was asked of another host, and no page broke', () => {
  unbroken(admin);
  unbroken(mina);
});
