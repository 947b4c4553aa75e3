// How the IDE page feels, in numbers: `node bench/browser/run.js`. It needs built pages (`cargo xtask up` once), a debug or
// release build of the platform (WORKROOM_PROGRAM, WORKROOM_OPTIONS) and Chromium.
//
//   opened file visible   from the navigation to the file's text on the screen; cold: nothing cached; warm: the second time
//   save acknowledged     from the draft's request to its answer, as the page sees it
//   log line shown        from the function's print to the line on the screen

import { startBrowser, startPlatform, client, openPage } from '../../frontend/app/e2e/platform.js';

const OPENINGS = 5;
const SAVES = 40;
const LINES = 30;
/** A usual line at home: 20 Mbit/s and 50 ms. */
const HOME = { offline: false, latency: 50, downloadThroughput: 2_500_000, uploadThroughput: 2_500_000 };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}

const figures = (values) => [median(values), Math.min(...values), Math.max(...values)].map((value) => Math.round(value));

async function signIn(page, platform) {
  await page.goto(`${platform.address}/static/index.html`);
  await page.getByLabel('E-mail').fill(platform.admin.email);
  await page.getByLabel('Password').fill(platform.admin.password);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Shop' }).waitFor();
}

/** A page whose session is there and whose cache is empty. */
async function person(browser, platform, network) {
  const opened = await openPage(browser);
  await signIn(opened.page, platform);
  const state = await opened.context.storageState();
  await opened.context.close();
  const fresh = await openPage(browser, { storageState: state });
  if (network) {
    const session = await fresh.context.newCDPSession(fresh.page);
    await session.send('Network.enable');
    await session.send('Network.emulateNetworkConditions', network);
  }
  return fresh;
}

const file = (platform, path) => `${platform.address}/static/ide/index.html?project=shop&path=${encodeURIComponent(path)}`;

async function openFile(page, address) {
  const begun = Date.now();
  await page.goto(address, { waitUntil: 'commit' });
  await page.locator('.editor-instance .view-line', { hasText: 'Starter' }).first().waitFor();
  return Date.now() - begun;
}

async function measureOpening(browser, platform, network) {
  const [cold, warm] = [[], []];
  for (let round = 0; round < OPENINGS; round += 1) {
    const { context, page } = await person(browser, platform, network);
    cold.push(await openFile(page, file(platform, 'README.md')));
    await sleep(1000);
    warm.push(await openFile(page, file(platform, 'README.md')));
    await context.close();
  }
  return { cold, warm };
}

async function measureSaving(browser, platform) {
  const { context, page } = await person(browser, platform);
  const took = [];
  page.on('requestfinished', (request) => {
    if (request.method() === 'PUT' && request.url().includes('/draft?')) took.push(request.timing().responseEnd);
  });
  await openFile(page, file(platform, 'README.md'));
  await page.locator('.editor-instance .view-line').first().click();
  for (let round = 0; took.length < SAVES && round < SAVES * 4; round += 1) {
    await page.keyboard.type('w');
    await page.keyboard.press('Control+S');
    await sleep(150);
  }
  await context.close();
  return took;
}

/** A function that prints when it printed. */
const PRINTER = `import json, time\n\ndef handler(event, context):\n    print("printed-at", int(time.time() * 1000), flush=True)\n    return {"statusCode": 200, "body": json.dumps({})}\n`;

async function deployPrinter(api) {
  const [branch] = (await api.call('GET', '/projects/shop/branches')).items;
  const changes = [{ action: 'put', path: 'functions/greet/app.py', content: PRINTER }];
  await api.call('POST', '/projects/shop/commits', { branch: 'main', expected_head: branch.commit, message: 'printer', changes });
  let job = await api.call('PUT', '/projects/shop/environments/dev/release', { ref: 'main' });
  while (['queued', 'running'].includes(job.state)) {
    await sleep(500);
    job = await api.call('GET', `/projects/shop/jobs/${job.id}`);
  }
  if (job.state !== 'succeeded') throw new Error(`the deploy ended as ${job.state}: ${job.error}`);
}

async function measureLogs(browser, platform, api) {
  await deployPrinter(api);
  const { context, page } = await person(browser, platform);
  await openFile(page, file(platform, 'README.md'));
  await page.keyboard.press('F1');
  await page.locator('.quick-input-widget input').first().fill('>Workroom: Follow Log');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Follow Log' }).first().waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'GreetFunction' }).first().click();
  await page.locator('.output-view').waitFor();
  await page.evaluate(() => {
    const seen = new Set();
    globalThis.delays = [];
    const look = () => {
      const now = Date.now();
      for (const line of document.querySelectorAll('.output-view .view-line')) {
        const [, at] = /printed-at\s+(\d+)/.exec(line.textContent.replaceAll('\u00a0', ' ')) ?? [];
        if (at === undefined || seen.has(at)) continue;
        seen.add(at);
        globalThis.delays.push(now - Number(at));
      }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  const path = '/projects/shop/environments/dev/functions/GreetFunction/invocations';
  for (let round = 0; round < LINES; round += 1) {
    await api.call('POST', path, { event: {} });
    await sleep(400);
  }
  const delays = await page.evaluate(() => globalThis.delays);
  await context.close();
  // The first line waits for the function's start and the panel's.
  return delays.slice(1);
}

const platform = await startPlatform({
  ...(process.env.WORKROOM_PROGRAM ? { program: process.env.WORKROOM_PROGRAM } : {}),
  options: process.env.WORKROOM_OPTIONS?.split(' ') ?? [],
});
const browser = await startBrowser();
try {
  const api = client(platform.address);
  await api.signIn(platform.admin);
  await api.call('POST', '/projects', { slug: 'shop', name: 'Shop', starter: 'python' });
  const near = await measureOpening(browser, platform);
  const home = await measureOpening(browser, platform, HOME);
  const saves = await measureSaving(browser, platform);
  const lines = await measureLogs(browser, platform, api);
  const rows = [
    ['opened file visible, cold', near.cold, 2500],
    ['opened file visible, warm', near.warm, 1500],
    ['the same over 20 Mbit/s and 50 ms, cold', home.cold, undefined],
    ['the same over 20 Mbit/s and 50 ms, warm', home.warm, undefined],
    ['save acknowledged', saves, 100],
    ['log line shown', lines, 300],
  ];
  console.log('| what | median ms | least | most | of | budget |\n| --- | --- | --- | --- | --- | --- |');
  for (const [what, values, budget] of rows) {
    console.log(`| ${[what, ...figures(values), values.length, budget ?? ''].join(' | ')} |`);
  }
} finally {
  await browser.close();
  await platform.stop();
}
