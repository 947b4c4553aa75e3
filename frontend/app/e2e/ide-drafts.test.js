// Nothing that is typed is lost: two pages on one file, a lost network, a page that ends at once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIde, until } from './ide-page.js';

let ide;
let first;
let second;

before(async () => {
  ide = await startIde();
  first = await ide.open();
});

after(() => ide?.stop());

/** The text of a draft, or nothing. */
async function draft(path) {
  const { items } = await ide.api.call('GET', '/projects/shop/drafts?branch=main');
  if (!items.some((found) => found.path === path)) return undefined;
  return ide.api.text(`/projects/shop/draft?branch=main&path=${encodeURIComponent(path)}`);
}

const holds = (path, ...texts) => async () => {
  const text = (await draft(path)) ?? '';
  return texts.every((part) => text.includes(part));
};

test('two pages on one file end in a merge that has both texts', async () => {
  second = await ide.open();
  for (const one of [first, second]) await one.edit('README.md');
  await second.context.setOffline(true);
  await second.page.keyboard.press('Control+End');
  await second.page.keyboard.type('\nFrom the second page.\n');
  await second.status('1 waiting').waitFor();
  await first.page.keyboard.press('Control+Home');
  await first.page.keyboard.type('From the first page.\n\n');
  await until(holds('README.md', 'From the first page.'), 'the first draft');
  await second.context.setOffline(false);
  await second.notice('was stored elsewhere').waitFor({ timeout: 40_000 });
  assert.ok(!(await draft('README.md')).includes('From the second page.'), 'nothing is overwritten');
  await second.answer('Merge');
  await second.page.getByText('0 Conflicts Remaining').waitFor();
  await second.page.getByRole('button', { name: /^Complete Merge/ }).first().click();
  await until(holds('README.md', 'From the first page.', 'From the second page.'), 'the merged draft');
  await first.line('From the second page.').waitFor();
  await second.status('to merge').waitFor({ state: 'hidden' });
});

test('what is typed without a network is sent when it is back, also by another page', async () => {
  await second.edit('samconfig.toml');
  await second.context.setOffline(true);
  await second.page.keyboard.press('Control+End');
  await second.page.keyboard.type('\n# typed offline\n');
  await second.status('1 waiting').waitFor();
  await second.page.close();
  await second.context.setOffline(false);
  second = await ide.open({ beside: second.opened });
  await until(holds('samconfig.toml', '# typed offline'), 'the draft');
  await second.tab('samconfig.toml');
  await second.line('# typed offline').waitFor();
});

test('what was typed a moment ago survives the end of the page, with its tabs', async () => {
  await second.command('Preferences: Open User Settings (JSON)');
  await second.tab('settings.json');
  await second.page.keyboard.press('Control+A');
  await second.page.keyboard.type('{ "files.autoSave": "off"');
  await second.page.keyboard.press('Control+S');
  await second.page.keyboard.press('Control+w');
  await second.edit('template.yaml');
  await second.page.keyboard.press('Control+End');
  await second.page.keyboard.type('# not saved');
  const kept = () =>
    second.page.evaluate(
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open('workroom-outbox');
          opening.onsuccess = () => {
            const reading = opening.result.transaction('entries').objectStore('entries').getAll();
            reading.onsuccess = () => {
              opening.result.close();
              const texts = reading.result.map(({ entry }) => new TextDecoder().decode(entry.wish.bytes));
              resolve(texts.some((text) => text.includes('# not saved')));
            };
          };
        }),
    );
  await until(kept, 'the note');
  await second.page.close();
  second = await ide.open({ beside: second.opened });
  await second.page.getByRole('tab', { name: 'samconfig.toml' }).waitFor();
  await second.tab('template.yaml');
  // The page ended before it kept how far the file was scrolled.
  await second.page.keyboard.press('Control+End');
  await second.line('# not saved').waitFor();
  await until(holds('template.yaml', '# not saved'), 'the draft');
});

test('nothing was asked of another host, and nothing broke', () => {
  assert.deepEqual(ide.foreign(), []);
  assert.deepEqual(ide.trouble(), []);
});
