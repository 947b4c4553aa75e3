exports.handler = async (event) => ({
  statusCode: 200,
  multiValueHeaders: { 'set-cookie': ['a=1', 'b=2'], 'content-type': ['application/json'] },
  body: JSON.stringify({
    path: event.path,
    method: event.httpMethod,
    proxy: event.pathParameters?.proxy ?? null,
    query: event.multiValueQueryStringParameters,
    caller: event.requestContext.authorizer?.principalId ?? null,
    cave: event.requestContext.authorizer?.cave ?? null,
    stage: event.requestContext.stage,
    body: event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString() : event.body,
  }),
});
