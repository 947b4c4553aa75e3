// Paths are relative, so that the page works at the root of a host and below a stage.
const text = (id, value) => (document.getElementById(id).textContent = value);

async function call(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? answer.statusText);
  return body;
}

document.getElementById('feedback').addEventListener('submit', async (event) => {
  event.preventDefault();
  const message = new FormData(event.target).get('message');
  try {
    const body = await call('api/feedback', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ message }),
    });
    text('answer', `Thank you: ${body.length} characters.`);
    event.target.reset();
  } catch (error) {
    text('answer', error.message);
  }
});

try {
  text('greeting', (await call('api/greeting?name=you')).greeting);
} catch (error) {
  text('greeting', error.message);
}
