// A platform of the test's own, over an empty data folder, and a browser to use it with.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** `WORKROOM_SLOWDOWN=6`: a page's own work takes six times as long, as on a busy machine, so that races show themselves. */
const SLOWDOWN = Number(process.env.WORKROOM_SLOWDOWN ?? 1);
/** How long anything may take, on a machine that compiles beside it. */
export const WAIT_MS = 60_000 * SLOWDOWN;

/** Starts `target/debug/workroom` and waits until it is ready. */
export async function startPlatform({ program = join(root, 'target/debug/workroom'), options = [] } = {}) {
  const data = mkdtempSync(join(tmpdir(), 'workroom-browser-'));
  const child = spawn(program, ['--data', join(data, 'data'), '--port', '0', ...options], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const values = new Map();
  const ready = new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the platform ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, name, value] = /^\s*(\w+):?\s*(.*)$/.exec(line) ?? [];
      if (name === 'ready') resolve();
      else if (name && !values.has(name)) values.set(name, value.trim());
    });
  });
  await ready;
  const [email, , password] = values.get('admin').split(/\s+/);
  const stop = async () => {
    child.removeAllListeners('exit');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  return { address: values.get('address').replace(/\/$/, ''), admin: { email, password }, pid: child.pid, stop };
}

/** Calls the API as a program would. */
export function client(address) {
  let token;
  const call = async (method, path, body) => {
    const headers = { 'Content-Type': 'application/json' };
    if (token) headers.Authorization = `Bearer ${token}`;
    const answer = await fetch(address + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
  /** Commits files through drafts, as the pages do; the answer is the commit. */
  const commit = async (project, branch, files, message) => {
    for (const [path, text] of Object.entries(files)) {
      const query = new URLSearchParams({ branch, path });
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/octet-stream', 'If-None-Match': '*' };
      const saved = await fetch(`${address}/projects/${project}/draft?${query}`, { method: 'PUT', headers, body: text });
      if (!saved.ok) throw new Error(`draft of ${path}: ${saved.status} ${await saved.text()}`);
    }
    const { items } = await call('GET', `/projects/${project}/branches`);
    const expected_head = items.find((found) => found.name === branch)?.commit ?? null;
    const body = { branch, expected_head, message, drafts: Object.keys(files) };
    return call('POST', `/projects/${project}/commits`, body);
  };
  return {
    call,
    commit,
    async signIn({ email, password }) {
      token = (await call('POST', '/sessions', { email, password })).access_token;
    },
  };
}

/** A browser with an empty profile. */
export function startBrowser() {
  return chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: FLAGS });
}

/** A page that remembers what went wrong in it. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  if (SLOWDOWN > 1) await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: SLOWDOWN });
  const trouble = [];
  page.on('pageerror', (error) => trouble.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') trouble.push(`console: ${message.text()}`);
  });
  const foreign = [];
  page.on('request', (request) => {
    const host = new URL(request.url()).hostname;
    if (!['localhost', '127.0.0.1', ''].includes(host)) foreign.push(request.url());
  });
  return { context, page, trouble, foreign };
}
