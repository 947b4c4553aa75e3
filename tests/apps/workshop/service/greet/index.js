const ms = require('ms');
const { greet } = require('shared-greeting');

exports.handler = async (event) => ({
  greeting: greet(process.env.GREETING, event.pathParameters.name),
  patience: ms('2 hours'),
  environment: process.env.ENVIRONMENT,
});
