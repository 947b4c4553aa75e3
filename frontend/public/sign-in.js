// The sign-in page: who is signed in, their projects, and whether the platform is up.
// The session lives in an HttpOnly cookie; this script never sees it.

const element = (id) => document.getElementById(id);

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body ? { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const text = await answer.text();
  const value = text ? JSON.parse(text) : null;
  if (!answer.ok) {
    throw Object.assign(new Error(value?.detail ?? value?.title ?? answer.statusText), { status: answer.status });
  }
  return value;
}

async function showHealth() {
  try {
    await call('GET', '/health');
    element('health').textContent = 'The platform is running.';
  } catch (error) {
    element('health').textContent = `The platform does not answer: ${error.message}`;
  }
}

function listItem(project) {
  const item = document.createElement('li');
  item.textContent = `${project.name} (${project.slug})`;
  return item;
}

async function showAccount() {
  let account;
  try {
    account = await call('GET', '/me');
  } catch (error) {
    element('sign-in').hidden = false;
    element('signed-in').hidden = true;
    if (error.status !== 401) element('problem').textContent = error.message;
    return;
  }
  const page = await call('GET', '/projects');
  element('account').textContent = account.name || account.email;
  element('projects').replaceChildren(...page.items.map(listItem));
  element('no-projects').hidden = page.items.length > 0;
  element('sign-in').hidden = true;
  element('signed-in').hidden = false;
}

element('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  element('problem').textContent = '';
  try {
    await call('POST', '/sessions', { email: form.get('email'), password: form.get('password') });
    event.target.reset();
    await showAccount();
  } catch (error) {
    element('problem').textContent = error.message;
  }
});

element('sign-out').addEventListener('click', async () => {
  await call('DELETE', '/sessions/current');
  await showAccount();
});

await Promise.all([showHealth(), showAccount()]);
