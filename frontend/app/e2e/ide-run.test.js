// From the template to the live site: help while it is typed, build, deploy, invoke, and the function's log with its figures.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

/** Builds take what they take on a busy machine. */
const JOB_MS = 120_000;

let ide;
let me;

before(async () => {
  ide = await startIde();
  me = await ide.open();
});

after(() => ide?.stop());

const problem = (text) => me.page.locator('.markers-panel .monaco-list-row', { hasText: text }).first();

test('a mistake in the template is marked while it is typed', async () => {
  await me.edit('template.yaml');
  await me.page.keyboard.press('Control+End');
  await me.page.keyboard.type('  Broken:\n  Value: !Ref Nowhere');
  await me.page.keyboard.press('Control+Shift+M');
  await problem('Nowhere` is neither').waitFor();
  await me.page.keyboard.press('Control+Shift+G');
  const change = me.page.locator('.scm-view .monaco-list-row', { hasText: 'template.yaml' }).first();
  await me.action(change, 'Discard Changes');
  await me.confirm('Discard');
  await problem('Nowhere` is neither').waitFor({ state: 'detached' });
});

test('a deploy from the keys ends with the live site', async () => {
  await me.page.keyboard.press('Control+Alt+D');
  await me.pick('dev');
  await me.notice('deploy succeeded.').waitFor({ timeout: JOB_MS });
  const [opened] = await Promise.all([me.context.waitForEvent('page'), me.answer('Open Site')]);
  await opened.waitForLoadState();
  assert.notEqual(new URL(opened.url()).origin, new URL(ide.platform.address).origin, 'on an origin of its own');
  await opened.close();
});

test('a function is invoked with an event of the project, and its log is followed with its figures', async () => {
  await me.command('Workroom: Invoke Function');
  await me.pick('GreetFunction');
  await me.pick('greet.json');
  await me.line('statusCode').waitFor();
  await me.command('Workroom: Follow Log');
  await me.pick('GreetFunction');
  await me.page.locator('.output-view .view-line', { hasText: 'REPORT' }).first().waitFor();
  await me.page.locator('.part.panel').getByRole('tab', { name: 'Requests' }).click();
  await me.page.locator('.pane-body .monaco-list-row', { hasText: 'ms billed' }).first().waitFor();
});

test('a build that takes long is cancelled, and a file that its log names opens at the line', async () => {
  const slow = [
    'Transform: AWS::Serverless-2016-10-31',
    'Resources:',
    '  Slow:',
    '    Type: AWS::Serverless::Function',
    '    Metadata: { BuildMethod: makefile }',
    '    Properties: { Runtime: provided.al2023, Handler: bootstrap, CodeUri: . }',
    '',
  ].join('\n');
  const makefile = 'build-Slow:\n\t@echo "functions/greet/app.py:4:1: look at this"\n\t@sleep 600\n';
  const message = 'a slow build';
  await ide.api.commit('shop', 'main', { 'template.yaml': slow, Makefile: makefile }, message);
  await me.page.keyboard.press('Control+Shift+E');
  await me.page.locator('.explorer-folders-view').getByRole('treeitem', { name: 'Makefile' }).waitFor();
  await me.page.keyboard.press('Control+Shift+B');
  const named = me.page.locator('.output-view .view-line', { hasText: 'look at this' }).first();
  await named.waitFor({ timeout: JOB_MS });
  await named.locator('.detected-link').first().click({ modifiers: ['Control'] });
  await me.page.getByRole('tab', { name: 'app.py', selected: true }).waitFor();
  await me.status('Ln 4, Col 1').waitFor();
  await me.page.keyboard.press('Control+Alt+C');
  await me.notice('build ended: cancelled.').waitFor({ timeout: JOB_MS });
  const { items } = await ide.api.call('GET', '/projects/shop/jobs?limit=1');
  assert.equal(items[0].state, 'cancelled');
});

test('a broken build marks the place in the file', async () => {
  await me.page.keyboard.press('Control+Shift+E');
  await me.edit('template.yaml');
  await me.page.keyboard.press('Control+Home');
  await me.page.keyboard.type('Resources: [\n');
  await until(async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main')).items.length > 0, 'the draft');
  await me.commit('break it');
  await until(async () => (await ide.api.call('GET', '/projects/shop/drafts?branch=main')).items.length === 0, 'the commit');
  await me.page.keyboard.press('Control+Shift+B');
  await me.notice('build failed').waitFor({ timeout: JOB_MS });
  await me.page.keyboard.press('Control+Shift+M');
  await problem('template.yaml').waitFor();
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble('build failed', 'failed:'), []);
});
