// Writes tools/schema/config.schema.json from the engine's own table of its keys, so that there is
// one table: node scripts/schema-from-engine.mjs BINARY [--check]
// `--check` only says whether keys, types, ranges and defaults are the engine's (exit code 1 when
// not); the descriptions are words and may be behind.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const target = new URL('../../schema/config.schema.json', import.meta.url);
const sizeText = { type: 'string', pattern: '^[0-9]+[KMGTkmgt]([Ii][Bb])?$' };
const kinds = {
  'a string': { type: 'string' },
  'a name that is not empty': { type: 'string', minLength: 1, 'x-kind': 'name' },
  'a header name': {
    type: 'string',
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    'x-kind': 'headerName',
  },
  'a name that is not empty, or a list of such names, none twice': {
    anyOf: [
      { type: 'string', minLength: 1 },
      { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, uniqueItems: true },
    ],
    'x-kind': 'name',
  },
  'a path that is not empty': { type: 'string', minLength: 1, 'x-kind': 'path' },
  'a condition on an exchange': { type: 'string', minLength: 1, 'x-kind': 'condition' },
  'ADDRESS:PORT or a port, from 1 to 65535': {
    type: 'string',
    pattern: '^(.*:)?[0-9]+$',
    'x-kind': 'listener',
  },
};
const listKinds = {
  'paths, at least one, none empty': [{ type: 'string', minLength: 1 }, 'path', { minItems: 1 }],
  'regular expressions of RE2, not empty': [{ type: 'string', minLength: 1 }, 'pattern', {}],
  'names that are not empty': [{ type: 'string', minLength: 1 }, 'name', {}],
  'patterns of paths as /users/{id}, /users/:id or /static/**': [
    { type: 'string', pattern: '^/' },
    'route',
    {},
  ],
  'NAME=VALUE as librdkafka takes them': [{ type: 'string', pattern: '^[^=]+=' }, 'property', {}],
  'header names': [{ type: 'string', pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" }, 'headerName', {}],
  'fields that --help-fields lists, none twice': [
    { type: 'string', minLength: 1 },
    'field',
    { uniqueItems: true },
  ],
};

function range(text) {
  const [, minimum, maximum] = /from (\d+) to (\d+)/.exec(text);
  return { minimum: Number(minimum), maximum: Number(maximum) };
}

function listOf(what) {
  const kind = listKinds[what];
  if (kind !== undefined) {
    return { type: 'array', items: kind[0], ...kind[2], 'x-kind': kind[1] };
  }
  if (what.startsWith('whole numbers')) {
    return { type: 'array', uniqueItems: true, items: { type: 'integer', ...range(what) } };
  }
  return { type: 'array', minItems: 1, uniqueItems: true, items: { enum: what.split(', ') } };
}

/** The schema of a value, from the engine's words for what is allowed. */
function schemaOf(allowed) {
  if (allowed === 'true or false') return { type: 'boolean' };
  if (kinds[allowed] !== undefined) return kinds[allowed];
  if (allowed.startsWith('one of ')) return { enum: allowed.slice(7).split(', ') };
  if (allowed.startsWith('a list of ')) return listOf(allowed.slice(10));
  if (allowed.startsWith('a number ')) return { type: 'number', ...range(allowed) };
  if (allowed.startsWith('a whole number ')) return { type: 'integer', ...range(allowed) };
  if (allowed.startsWith('whole milliseconds ')) {
    return { type: 'integer', ...range(allowed), 'x-unit': 'milliseconds' };
  }
  if (allowed.startsWith('whole bytes ')) {
    return { anyOf: [{ type: 'integer', ...range(allowed) }, sizeText], 'x-unit': 'bytes' };
  }
  throw new Error(`a kind of value that this script does not know: ${allowed}`);
}

/** The default as JSON, or undefined when it is none or depends on where the engine runs. */
function defaultOf(text, schema) {
  if (schema.type === 'boolean') return { true: true, false: false }[text];
  if (schema.enum !== undefined) return schema.enum.includes(text) ? text : undefined;
  if (schema.items?.enum !== undefined) return text.split(',');
  if (schema.type === 'array' || schema['x-kind'] === 'listener' || text === 'none') {
    return undefined;
  }
  if (schema.type === 'string')
    return schema['x-kind'] === 'path' && /^\S+$/.test(text) ? text : undefined;
  return /^[\d.]+$/.test(text) ? Number(text) : undefined;
}

function propertyOf([, , fallback, allowed, meaning]) {
  const schema = schemaOf(allowed);
  const value = defaultOf(fallback, schema);
  const words = meaning.replace(' (not yet supported)', '').replace(' (re-read on SIGHUP)', '');
  const said = value === undefined && fallback !== 'none' ? ` Default: ${fallback}.` : '';
  return {
    description: `${words[0].toUpperCase()}${words.slice(1)}.${said}`,
    ...schema,
    ...(value === undefined ? {} : { default: value }),
  };
}

function generate(binary) {
  const table = execFileSync(binary, ['--help-keys-markdown'], { encoding: 'utf8' });
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  const cells = rows.map((row) => row.replace(/^\| | \|$/g, '').split(' | '));
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:tcp-sniffer:schema:1:config',
    title: 'EngineConfig',
    description:
      'The JSON object that the engine takes with --config; every key is a flag in kebab-case. x-kind and x-unit name the rules that JSON Schema has no word for: name and path are not empty, headerName is a token of RFC 9110, field a name that --help-fields lists, property NAME=VALUE for librdkafka, pattern is an expression that RE2 takes, route a pattern of paths, condition one of docs/conditions.md, listener is ADDRESS:PORT; bytes may be written as 64K or 1M.',
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      cells.map((row) => [row[0].replaceAll('`', ''), propertyOf(row)]),
    ),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

const [binary, mode] = process.argv.slice(2);
const text = generate(binary);
if (mode === '--check') {
  const rules = (schema) =>
    JSON.stringify(JSON.parse(schema), (key, value) => (key === 'description' ? undefined : value));
  if (rules(readFileSync(target, 'utf8')) !== rules(text)) {
    process.stderr.write(
      'tools/schema/config.schema.json is not the engine\u2019s table: run scripts/schema-from-engine.mjs and `npm run generate`\n',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(target, text);
}
