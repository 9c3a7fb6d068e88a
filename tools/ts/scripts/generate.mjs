// Writes src/generated.ts from tools/schema: the types of messages, events and configuration, the
// getters of a message and the engine's defaults. `--check` only says whether the file is the
// one that the schemas give (exit code 1 when not); a test runs it.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const target = fileURLToPath(new URL('../src/generated.ts', import.meta.url));

function load(name) {
  const url = new URL(`../../schema/${name}.schema.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8'));
}

/** The TypeScript type of a schema; `root` resolves its references. */
function typeOf(schema, root) {
  if (schema.$ref !== undefined) {
    const target = schema.$ref
      .slice(2)
      .split('/')
      .reduce((parent, key) => parent[key], root);
    return target.title ?? typeOf(target, root);
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const).replaceAll('"', "'");
  if (schema.enum !== undefined) return schema.enum.map((value) => `'${value}'`).join(' | ');
  if (schema.anyOf !== undefined) return schema.anyOf.map((one) => typeOf(one, root)).join(' | ');
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type }, root)).join(' | ');
  }
  switch (schema.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array': {
      const item = typeOf(schema.items, root);
      if (schema.minItems !== undefined && schema.minItems === schema.maxItems) {
        return `[${Array(schema.minItems).fill(item).join(', ')}]`;
      }
      return item.includes('|') ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      if (typeof schema.additionalProperties === 'object' && schema.properties === undefined) {
        return `Record<string, ${typeOf(schema.additionalProperties, root)}>`;
      }
      return interfaceBody(schema, root, '  ');
    default:
      return 'unknown';
  }
}

function comment(schema, indent) {
  if (schema.description === undefined) return '';
  return `${indent}/** ${schema.description} */\n`;
}

function interfaceBody(schema, root, indent) {
  const required = new Set(schema.required ?? []);
  const lines = Object.entries(schema.properties).map(([key, property]) => {
    const optional = required.has(key) ? '' : '?';
    return `${comment(property, indent)}${indent}${key}${optional}: ${typeOf(property, root)};\n`;
  });
  if (typeof schema.additionalProperties === 'object') {
    lines.push(`${indent}[name: string]: ${typeOf(schema.additionalProperties, root)};\n`);
  }
  return `{\n${lines.join('')}${indent.slice(2)}}`;
}

function declare(name, schema, root, parent = '') {
  return `${comment(schema, '')}export interface ${name}${parent} ${interfaceBody(schema, root, '  ')}\n`;
}

/** A shape without fields of its own is an alias. */
function declareType(schema, root) {
  if (schema.properties !== undefined) return declare(schema.title, schema, root);
  return `${comment(schema, '')}export type ${schema.title} = ${typeOf({ ...schema, title: undefined }, root)};\n`;
}

/** The fields that a protocol never has: its part of the schema forbids them. */
function forbiddenOf(protocol) {
  return protocol.not.anyOf.flatMap(({ required }) => required);
}

/** A message as a plain object: what all protocols share, and a shape for each protocol, told apart
 * by `protocol`, and later parts of a message by `part`. A field that a shape never has is there as
 * undefined, so that reading it from any message compiles. */
function declareMessages({ common, httpHead: http, laterPart, pop3 }, root) {
  const shapes = [
    ['HttpMessageFields', 'An HTTP message, or its first part,', http, 'undefined'],
    [
      'HttpPartFields',
      'A later part of an HTTP message, without its head,',
      laterPart,
      'undefined',
    ],
    ['Pop3MessageFields', 'A POP3 message', pop3, "'pop3'"],
  ];
  const own = new Set(['protocol', ...shapes.flatMap(([, , schema]) => forbiddenOf(schema))]);
  const entries = Object.entries(common.properties);
  const shared = Object.fromEntries(entries.filter(([key]) => !own.has(key)));
  const parts = [
    '/** What the messages of all protocols share. */\n' +
      `export interface CommonMessageFields ${interfaceBody({ ...common, properties: shared }, root, '  ')}\n`,
  ];
  for (const [name, description, protocol, word] of shapes) {
    const forbidden = new Set(forbiddenOf(protocol));
    const required = new Set(protocol.required ?? []);
    const lines = entries
      .filter(([key]) => own.has(key) && key !== 'protocol')
      .map(([key, property]) => {
        if (forbidden.has(key)) return `  ${key}?: undefined;\n`;
        const optional = required.has(key) ? '' : '?';
        const type = typeOf({ ...property, ...protocol.properties?.[key] }, root);
        return `${comment(property, '  ')}  ${key}${optional}: ${type};\n`;
      });
    const optional = word === 'undefined' ? '?' : '';
    parts.push(
      `/** ${description} as a plain object: a line of the engine, parsed. */\n` +
        `export interface ${name} extends CommonMessageFields {\n` +
        `  protocol${optional}: ${word};\n${lines.join('')}}\n`,
    );
  }
  parts.push(
    '/** One message as a plain object. Where `protocol` is undefined it is of HTTP, and where `part` is so\n * as well it is whole. */\n' +
      `export type MessageFields = ${shapes.map(([name]) => name).join(' | ')};\n`,
  );
  return parts;
}

/** A line with records exchange: what is said once, and which halves there are. */
function declareExchanges({ exchange, exchangeRequest, exchangeResponse }, root) {
  const halves = new Set(['protocol', 'orphan', 'request', 'interim', 'response']);
  const shared = Object.fromEntries(
    Object.entries(exchange.properties).filter(([key]) => !halves.has(key)),
  );
  return [
    declare(exchangeRequest.title, exchangeRequest, root),
    declare(exchangeResponse.title, exchangeResponse, root),
    '/** What the lines of all exchanges have in common. */\n' +
      `export interface CommonExchangeFields ${interfaceBody({ ...exchange, properties: shared }, root, '  ')}\n`,
    `/** An exchange as a plain object: a line with records exchange, parsed. Without \`orphan\` it has both
 * halves; only POP3's greeting is a response that answers nothing. */
export type ExchangeFields = CommonExchangeFields &
  (
    | {
        protocol?: undefined;
        orphan?: undefined;
        request: ExchangeRequest;
        interim?: ExchangeResponse[];
        response: ExchangeResponse;
      }
    | {
        protocol: 'pop3';
        orphan?: undefined;
        request?: ExchangeRequest;
        interim?: undefined;
        response: ExchangeResponse;
      }
    | {
        protocol?: 'pop3';
        orphan: 'responseNotCaptured' | 'noResponse';
        request: ExchangeRequest;
        interim?: ExchangeResponse[];
        response?: undefined;
      }
    | {
        protocol?: 'pop3';
        orphan: 'requestNotCaptured';
        request?: undefined;
        interim?: ExchangeResponse[];
        response?: ExchangeResponse;
      }
  );
`,
  ];
}

function getters(schema, root) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties)
    .filter(([key]) => key !== 'body' && key !== 'bodyEncoding')
    .map(([key, property]) => {
      const type = typeOf(property, root) + (required.has(key) ? '' : ' | undefined');
      return `${comment(property, '  ')}  get ${key}(): ${type} {\n    return this.fields().${key};\n  }\n`;
    })
    .join('\n');
}

function declareDefaults({ properties }) {
  const lines = Object.entries(properties)
    .filter(([, property]) => property.default !== undefined)
    .map(([key, property]) => `  ${key}: ${JSON.stringify(property.default)},\n`);
  return (
    '/** The defaults of the engine that do not depend on where it runs. */\n' +
    `export const engineDefaults = {\n${lines.join('')}} as const;\n`
  );
}

function generate() {
  const message = load('message');
  const event = load('event');
  const config = load('config');
  const { common } = message.$defs;
  const [shapes, eventShapes] = [false, true].map((isEvent) =>
    Object.entries(event.$defs).filter(
      ([, schema]) => (schema['x-event'] !== undefined) === isEvent,
    ),
  );
  const events = eventShapes.map(([, schema]) => schema);
  const parts = [
    '// Written by scripts/generate.mjs from tools/schema; change the schemas and run `npm run generate`.\n',
    declare('Endpoint', message.$defs.endpoint, message),
    declare('Proxied', message.$defs.proxied, message),
    declareType(message.$defs.headers, message),
    ...declareMessages(message.$defs, message),
    ...declareExchanges(message.$defs, message),
    '/** The fields of a message as getters; what stands behind them is the subclass\u2019s business. */\n' +
      `export abstract class MessageView {\n  protected abstract fields(): MessageFields;\n\n${getters(common, message)}}\n`,
    declare('EngineEvent', event, event).replace(/}\n$/, '  [field: string]: unknown;\n}\n'),
    ...shapes.map(([, schema]) => declareType(schema, event)),
    ...events.map((schema) => declare(schema.title, schema, event, ' extends EngineEvent')),
    `/** The engine\u2019s events by name. */\nexport interface EngineEvents {\n${events
      .map((schema) => `  ${schema['x-event']}: [event: ${schema.title}];\n`)
      .join('')}}\n`,
    `export const engineEventNames = ${JSON.stringify(events.map((schema) => schema['x-event']))} as const;\n`,
    declare('EngineConfig', config, config),
    declareDefaults(config),
  ];
  return parts.join('\n');
}

const text = generate();
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write(
      'src/generated.ts is not what tools/schema gives: run `npm run generate`\n',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(target, text);
}
