// Takes feedback: POST /api/feedback {"message": "…"}
const MESSAGE_MAX = 500;

export const handler = async (event) => {
  const body = event.isBase64Encoded ? Buffer.from(event.body ?? '', 'base64').toString() : (event.body ?? '');
  let message;
  try {
    message = JSON.parse(body).message;
  } catch {
    message = undefined;
  }
  if (typeof message !== 'string') return answer(400, { error: 'The body is JSON with a "message".' });
  if (message.length < 1 || message.length > MESSAGE_MAX) {
    return answer(400, { error: `A message has 1 to ${MESSAGE_MAX} characters.` });
  }
  console.log(`feedback of ${message.length} characters`);
  return answer(201, { length: message.length });
};

const answer = (statusCode, body) => ({
  statusCode,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});
