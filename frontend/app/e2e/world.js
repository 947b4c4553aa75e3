// A small company's project, for tests that look at every page and for pictures of them.

const PEOPLE = [
  ['mina@example.com', 'Mina Park'],
  ['jonas@example.com', 'Jonas Weber'],
  ['aiko@example.com', 'Aiko Tanaka'],
];

async function ended(api, project, job) {
  for (;;) {
    const { state } = await api.call('GET', `/projects/${project}/jobs/${job}`);
    if (!['queued', 'running'].includes(state)) return state;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Creates it through the API; the answer names what pages need. */
export async function settle(api) {
  const { call, commit } = api;
  const project = { slug: 'order-shop', name: 'Order shop', description: 'Orders, stock and invoices', starter: 'python' };
  await call('POST', '/projects', project);
  await call('POST', '/projects', { slug: 'newsletter', name: 'Newsletter', description: 'Mails on Mondays', starter: 'node' });
  await call('POST', '/projects', { slug: 'timetable', name: 'Timetable', starter: 'empty' });
  for (const [email, name] of PEOPLE) {
    const { id } = await call('POST', '/accounts', { email, name, password: 'correct horse battery' });
    await call('PUT', `/projects/order-shop/members/${id}`, { role: 'developer' });
  }
  const stock = 'stock:\n  tea: 12\n  coffee: 40\n  cups: 7\n';
  await commit('order-shop', 'main', { 'data/stock.yaml': stock }, 'Keep the stock in the repository');
  await call('POST', '/projects/order-shop/branches', { name: 'feature/prices', from: 'main' });
  const ours = stock.replace('coffee: 40', 'coffee: 38').replace('cups: 7', 'cups: 9');
  const theirs = `${stock.replace('coffee: 40', 'coffee: 55')}  price: EUR\n`;
  await commit('order-shop', 'main', { 'data/stock.yaml': ours }, 'Count the stock anew');
  await commit('order-shop', 'feature/prices', { 'data/stock.yaml': theirs }, 'Prices are in euro');
  await call('POST', '/projects/order-shop/tags', { name: 'v1.0.0', target: 'main', message: 'The first release' });
  await call('POST', '/projects/order-shop/tags', { name: 'v0.9.0', target: 'feature/prices' });
  const build = await call('POST', '/projects/order-shop/builds', { ref: 'main' });
  await ended(api, 'order-shop', build.id);
  const deploy = await call('PUT', '/projects/order-shop/environments/dev/release', { ref: 'main' });
  await ended(api, 'order-shop', deploy.id);
  const { items } = await call('GET', '/projects/order-shop/commits?ref=main');
  return { slug: 'order-shop', commit: items[0].id, build: build.id, deploy: deploy.id };
}

/** Every page: its name, its address, and what is there when it is complete. */
export function pagesOf({ slug, commit, deploy }) {
  const p = `/p/${slug}`;
  const file = '?ref=main&path=data%2Fstock.yaml';
  return [
    ['projects', '/', (page) => page.getByRole('link', { name: 'Order shop' })],
    ['new-project', '/new', (page) => page.getByRole('radio').nth(2)],
    ['overview', p, (page) => page.locator('.markdown')],
    ['files', `${p}/files`, (page) => page.getByRole('link', { name: 'template.yaml' })],
    ['file', `${p}/file?ref=main&path=template.yaml`, (page) => page.locator('.cm-line').nth(5)],
    ['history', `${p}/commits${file}`, (page) => page.locator('.rows li').first()],
    ['blame', `${p}/blame${file}`, (page) => page.locator('table.blame tbody').nth(1)],
    ['search', `${p}/search?q=handler&ref=main`, (page) => page.locator('mark').first()],
    ['commits', `${p}/commits`, (page) => page.locator('.rows li').first()],
    ['commit', `${p}/commits/${commit}`, (page) => page.locator('tr.added').first()],
    ['branches', `${p}/branches`, (page) => page.getByRole('link', { name: 'feature/prices' })],
    ['tags', `${p}/tags`, (page) => page.getByRole('link', { name: 'v1.0.0', exact: true })],
    ['compare', `${p}/compare?base=main&head=feature%2Fprices`, (page) => page.locator('tr.added').first()],
    ['jobs', `${p}/jobs`, (page) => page.locator('.rows li').nth(1)],
    ['job', `${p}/jobs/${deploy}`, (page) => page.locator('.log .line').first()],
    ['environments', `${p}/environments`, (page) => page.locator('.rows li').nth(1)],
    ['environment', `${p}/environments/dev`, (page) => page.locator('.log')],
    ['storage', `${p}/storage`, (page) => page.locator('.empty')],
    ['settings', `${p}/settings`, (page) => page.locator('form').first()],
    ['members', `${p}/settings/members`, (page) => page.locator('.rows li').nth(3)],
    ['usage', `${p}/settings/usage`, (page) => page.locator('.facts')],
    ['activity', `${p}/settings/activity`, (page) => page.getByRole('cell', { name: 'project.created' })],
    ['account', '/account', (page) => page.locator('form').first()],
    ['admin-people', '/admin', (page) => page.locator('.rows li').nth(3)],
    ['admin-projects', '/admin/projects', (page) => page.getByRole('link', { name: 'Timetable' })],
    ['admin-jobs', '/admin/jobs', (page) => page.getByRole('link', { name: 'Order shop' }).nth(1)],
    ['admin-usage', '/admin/usage', (page) => page.getByRole('link', { name: 'Order shop' })],
    ['admin-audit', '/admin/audit', (page) => page.getByRole('cell', { name: 'project.created' }).first()],
  ];
}
