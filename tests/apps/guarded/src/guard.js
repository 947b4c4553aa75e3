// Lets `Bearer sesame` in; everyone else is told apart as API Gateway does.
exports.handler = async (event) => {
  if (event.authorizationToken === 'Bearer sesame') {
    return {
      principalId: 'ali',
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'execute-api:Invoke', Resource: event.methodArn }],
      },
      context: { cave: 'forty' },
    };
  }
  if (event.authorizationToken === 'Bearer thief') {
    return {
      principalId: 'kassim',
      policyDocument: { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] },
    };
  }
  throw new Error('Unauthorized');
};
