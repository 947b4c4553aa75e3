// Writes src/api/generated.ts from the API document: a type for each schema and a signature for each operation.
// Every build and check begins with it: what a page asks of the API that the document does not have fails to compile.
// `node build/client.js <document>` reads another document.
// `node build/client.js <document>` reads another document.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const PLAIN = /^[A-Za-z_$][\w$]*$/;

/** The TypeScript name of a schema: `PageView_JobView` becomes `PageViewJobView`. */
const typeName = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const memberName = (name) => (PLAIN.test(name) ? name : JSON.stringify(name));
const comment = (text, indent) =>
  text ? `${indent}/** ${text.replaceAll('*/', '* /').replace(/\s+/g, ' ').trim()} */\n` : '';

/** Schemas that the document has: a reference to any other says nothing about its value. */
let known;

/** The TypeScript type of a JSON schema. */
export function typeOf(schema, indent = '') {
  if (!schema || schema === true) return 'unknown';
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    return !known || known.has(name) ? typeName(name) : 'unknown';
  }
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return several.map((one) => typeOf(one, indent)).join(' | ');
  if (schema.allOf) return schema.allOf.map((one) => typeOf(one, indent)).join(' & ');
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type }, indent)).join(' | ');
  }
  switch (schema.type) {
    case 'null':
      return 'null';
    case 'string':
      return 'string';
    case 'boolean':
      return 'boolean';
    case 'integer':
    case 'number':
      return 'number';
    case 'array': {
      const item = typeOf(schema.items, indent);
      return item.includes('|') || item.includes('&') ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      return objectType(schema, indent);
    default:
      return 'unknown';
  }
}

function objectType(schema, indent) {
  const members = Object.entries(schema.properties ?? {});
  if (members.length === 0) {
    const values = schema.additionalProperties;
    return `Record<string, ${values && values !== true ? typeOf(values, indent) : 'unknown'}>`;
  }
  const required = new Set(schema.required ?? []);
  const inner = `${indent}  `;
  const lines = members.map(([name, member]) => {
    const optional = required.has(name) ? '' : '?';
    return `${comment(member.description, inner)}${inner}${memberName(name)}${optional}: ${typeOf(member, inner)};`;
  });
  return `{\n${lines.join('\n')}\n${indent}}`;
}

function parametersType(operation, place) {
  const found = (operation.parameters ?? []).filter((parameter) => parameter.in === place);
  if (found.length === 0) return 'Record<never, never>';
  const member = (parameter) =>
    `${memberName(parameter.name)}${parameter.required ? '' : '?'}: ${typeOf(parameter.schema)}`;
  return `{ ${found.map(member).join('; ')} }`;
}

function bodyType(operation) {
  const content = operation.requestBody?.content ?? {};
  if (content['application/json']) return typeOf(content['application/json'].schema);
  return Object.keys(content).length > 0 ? 'BodyInit' : 'undefined';
}

function resultType(operation) {
  const types = new Set();
  for (const [status, response] of Object.entries(operation.responses)) {
    if (!status.startsWith('2')) continue;
    const content = response.content ?? {};
    const json = content['application/json'];
    if (json) types.add(typeOf(json.schema));
    else types.add(Object.keys(content).length > 0 ? 'ArrayBuffer' : 'undefined');
  }
  return [...types].join(' | ') || 'undefined';
}

/** The text of the generated module. */
export function generate(document) {
  known = new Set(Object.keys(document.components.schemas));
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) => `${comment(schema.description, '')}export type ${typeName(name)} = ${typeOf(schema)};`,
  );
  const signatures = [];
  const routes = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = item[method];
      signatures.push(
        [
          `${comment(operation.summary, '  ')}  ${operation.operationId}: {`,
          `    path: ${parametersType(operation, 'path')};`,
          `    query: ${parametersType(operation, 'query')};`,
          `    body: ${bodyType(operation)};`,
          `    result: ${resultType(operation)};`,
          '  };',
        ].join('\n'),
      );
      routes.push(`  ${operation.operationId}: ['${method.toUpperCase()}', '${path}'],`);
    }
  }
  return [
    '// Written by build/client.js from docs/openapi.json. Change the API, not this file.',
    ...schemas,
    `export interface Operations {\n${signatures.join('\n')}\n}`,
    `export const routes: { readonly [Name in keyof Operations]: readonly [method: string, path: string] } = {\n${routes.join('\n')}\n};`,
    '',
  ].join('\n\n');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const at = (path) => fileURLToPath(new URL(path, import.meta.url));
  const text = generate(JSON.parse(readFileSync(process.argv[2] ?? at('../../../docs/openapi.json'), 'utf8')));
  const target = at('../src/api/generated.ts');
  // Untouched when it says so already, so that a build is not made anew for it.
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text);
}
