// A function with two SDK clients, on the smallest runtime there can be: what a Node function pays before its own code.
import { request } from 'node:http';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';

const clients = [new S3Client({}), new DynamoDBClient({})];
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const base = '/2018-06-01/runtime/invocation';

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, method, path }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(parts) }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

for (;;) {
  const event = await call('GET', `${base}/next`);
  JSON.parse(event.body);
  const answer = JSON.stringify({ statusCode: 200, body: String(clients.length) });
  await call('POST', `${base}/${event.headers['lambda-runtime-aws-request-id']}/response`, answer);
}
