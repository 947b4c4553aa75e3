// Greets whoever asks: GET /api/greeting?name=Ada
const NAME_MAX = 100;

export const handler = async (event) => {
  const name = event.queryStringParameters?.name?.trim() || 'world';
  if (name.length > NAME_MAX) return answer(400, { error: `A name has ${NAME_MAX} characters at most.` });
  console.log(`greeting a name of ${name.length} characters`);
  return answer(200, { greeting: `Hello, ${name}!`, environment: process.env.ENVIRONMENT ?? 'local' });
};

const answer = (statusCode, body) => ({
  statusCode,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});
