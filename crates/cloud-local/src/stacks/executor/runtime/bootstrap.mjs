// Runs a Node handler over the Lambda Runtime API (AWS Lambda Developer Guide, "Lambda runtime API").
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';

const { AWS_LAMBDA_RUNTIME_API: API, LAMBDA_TASK_ROOT: TASK_ROOT, _HANDLER: HANDLER } = process.env;
const [host, port] = API.split(':');
const PREFIX = '/2018-06-01/runtime';
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const PRELUDE_END = Buffer.alloc(8);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let requestId = '';
let waiting = [];
process.on('beforeExit', () => {
  const ready = waiting;
  waiting = [];
  for (const then of ready) then();
});

function installConsole() {
  const levels = { log: 'INFO', info: 'INFO', debug: 'DEBUG', warn: 'WARN', error: 'ERROR', trace: 'TRACE' };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => {
      // One event in the log: carriage returns instead of line ends.
      const text = format(...values).replace(/\n/g, '\r');
      process.stdout.write(`${new Date().toISOString()}\t${requestId || undefined}\t${level}\t${text}\n`);
    };
  }
}

function call(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, agent, path: PREFIX + where, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

function describe(error) {
  if (error instanceof Error) {
    const trace = (error.stack ?? '').split('\n');
    return { errorType: error.name, errorMessage: error.message, trace };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

async function fail(where, error, type) {
  const described = describe(error);
  if (type) described.errorType = type;
  const headers = { 'Content-Type': 'application/json', 'Lambda-Runtime-Function-Error-Type': described.errorType };
  await call('POST', where, JSON.stringify(described), headers);
  return described;
}

function userError(type, message) {
  const error = new Error(message);
  error.name = type;
  return error;
}

async function importModule(file) {
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const candidate = file + extension;
    if (!fs.statSync(candidate, { throwIfNoEntry: false })?.isFile()) continue;
    if (extension === '.mjs') return import(pathToFileURL(candidate).href);
    try {
      return createRequire(candidate)(candidate);
    } catch (error) {
      const esm = error.code === 'ERR_REQUIRE_ESM' || error.code === 'ERR_REQUIRE_ASYNC_MODULE'
        || (error instanceof SyntaxError && /import statement|Unexpected token 'export'|import\.meta|await is only valid/.test(error.message));
      if (!esm) throw error;
      return import(pathToFileURL(candidate).href);
    }
  }
  throw userError('Runtime.ImportModuleError', `Error: Cannot find module '${path.basename(file)}'`);
}

async function loadHandler() {
  const slash = HANDLER.lastIndexOf('/') + 1;
  const dot = HANDLER.indexOf('.', slash);
  if (dot < 0 || HANDLER.includes('..')) throw userError('Runtime.MalformedHandlerName', `Bad handler '${HANDLER}'`);
  const module = await importModule(path.resolve(TASK_ROOT, HANDLER.slice(0, dot)));
  let found = module;
  for (const part of HANDLER.slice(dot + 1).split('.')) found = found?.[part] ?? (found === module ? module.default?.[part] : undefined);
  if (typeof found !== 'function') throw userError('Runtime.HandlerNotFound', `${HANDLER} is undefined or not exported`);
  return found;
}

/** The stream that a streaming handler writes to: the body of the answer, sent as it comes. */
function responseStream(id) {
  const request = http.request({
    host, port, agent: new http.Agent(), method: 'POST', path: `${PREFIX}/invocation/${id}/response`,
    headers: {
      'Content-Type': 'application/octet-stream', 'Lambda-Runtime-Function-Response-Mode': 'streaming',
      Trailer: 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body', 'Transfer-Encoding': 'chunked',
    },
  });
  let prelude = null;
  const write = request.write.bind(request);
  const begin = () => {
    if (prelude === null) return;
    const first = Buffer.concat([Buffer.from(JSON.stringify(prelude)), PRELUDE_END]);
    prelude = null;
    write(first);
  };
  request.write = (chunk, ...rest) => { begin(); return write(chunk, ...rest); };
  const end = request.end.bind(request);
  request.end = (chunk, ...rest) => { begin(); return end(chunk, ...rest); };
  request.setContentType = (type) => request.setHeader('Content-Type', type);
  request.beginWith = (metadata) => {
    request.setHeader('Content-Type', 'application/vnd.awslambda.http-integration-response');
    prelude = metadata;
  };
  request.answered = new Promise((resolve, reject) => {
    request.on('response', (response) => { response.resume(); response.on('end', resolve); });
    request.on('error', reject);
  });
  return request;
}

function installStreaming() {
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (options?.highWaterMark !== undefined) handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
      return handler;
    },
    HttpResponseStream: { from: (stream, metadata) => { stream.beginWith(metadata); return stream; } },
  };
}

async function handleStreaming(handler, event, context) {
  const stream = responseStream(context.awsRequestId);
  // A failed connection is told by `answered`.
  stream.answered.catch(() => {});
  try {
    await handler(event, stream, context);
    if (!stream.writableEnded) stream.end();
  } catch (error) {
    const described = describe(error);
    console.error('Invoke Error', JSON.stringify(described));
    if (!stream.headersSent) {
      stream.destroy();
      await fail(`/invocation/${context.awsRequestId}/error`, error);
      return;
    }
    stream.addTrailers({
      'Lambda-Runtime-Function-Error-Type': described.errorType,
      'Lambda-Runtime-Function-Error-Body': Buffer.from(JSON.stringify(described)).toString('base64'),
    });
    stream.end();
  }
  await stream.answered.catch(() => {});
}

/** The handler's answer, whether it returns, resolves or calls back. */
function answerOf(handler, event, context) {
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (error, result) => {
      if (settled) return;
      settled = true;
      if (error !== undefined && error !== null) reject(error);
      else if (context.callbackWaitsForEmptyEventLoop) whenIdle(() => resolve(result));
      else resolve(result);
    };
    context.done = settle;
    context.succeed = (result) => { context.callbackWaitsForEmptyEventLoop = false; settle(null, result); };
    context.fail = (error) => settle(error ?? 'handled');
    const returned = handler(event, context, settle);
    if (typeof returned?.then === 'function') {
      returned.then((result) => { if (!settled) { settled = true; resolve(result); } }, (error) => { settled = true; reject(error); });
    } else if (handler.length < 3 && returned !== undefined) {
      settled = true;
      resolve(returned);
    } else {
      // Nothing left to wait for and no answer: as on Lambda, null.
      whenIdle(() => { if (!settled) { settled = true; resolve(null); } });
    }
  });
}

/** Runs when nothing is left to wait for in this invocation. */
function whenIdle(then) {
  waiting.push(then);
}

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    identity: undefined,
    clientContext: undefined,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

async function handle(handler, headers, body) {
  const context = contextOf(headers);
  requestId = context.awsRequestId;
  waiting = [];
  process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'] ?? '';
  const where = `/invocation/${requestId}`;
  const event = JSON.parse(body.toString());
  if (handler[STREAMING]) return handleStreaming(handler, event, context);
  let answer;
  try {
    answer = JSON.stringify((await answerOf(handler, event, context)) ?? null);
  } catch (error) {
    console.error('Invoke Error', JSON.stringify(describe(error)));
    await fail(`${where}/error`, error);
    return undefined;
  }
  const { status } = await call('POST', `${where}/response`, answer, { 'Content-Type': 'application/json' });
  if (status === 413) {
    const message = 'Response payload size exceeded maximum allowed payload size (6291556 bytes).';
    await fail(`${where}/error`, userError('Function.ResponseSizeTooLarge', message));
  }
  return undefined;
}

async function main() {
  installConsole();
  installStreaming();
  for (const [name, type] of [['uncaughtException', 'Runtime.UnhandledException'], ['unhandledRejection', 'Runtime.UnhandledPromiseRejection']]) {
    process.on(name, (error) => {
      const described = describe(error);
      console.error(name === 'uncaughtException' ? 'Uncaught Exception' : 'Unhandled Promise Rejection', JSON.stringify(described));
      const where = requestId ? `/invocation/${requestId}/error` : '/init/error';
      // Its own connection: the shared one may be in use.
      const failure = JSON.stringify({ ...described, errorType: requestId && name === 'unhandledRejection' ? type : described.errorType });
      const request = http.request({ host, port, method: 'POST', path: PREFIX + where, headers: { 'Lambda-Runtime-Function-Error-Type': type } });
      request.on('response', () => process.exit(128));
      request.on('error', () => process.exit(128));
      request.end(failure);
    });
  }
  let handler;
  try {
    handler = await loadHandler();
  } catch (error) {
    const type = error instanceof SyntaxError ? 'Runtime.UserCodeSyntaxError'
      : error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND' ? 'Runtime.ImportModuleError' : undefined;
    console.error('Uncaught Exception', JSON.stringify(describe(error)));
    await fail('/init/error', error, type);
    process.exit(1);
  }
  for (;;) {
    const { status, headers, body } = await call('GET', '/invocation/next');
    if (status !== 200) throw new Error(`the runtime API answered ${status}`);
    await handle(handler, headers, body);
  }
}

main();
