#!/usr/bin/env node
// Checks lines of JSON against one of the schemas beside this file, without any dependency, so that
// the engine's tests and the package's tests ask the same question:
//
//   tcp-sniffer -r a.pcap | node tools/schema/validate.mjs message
//   node tools/schema/validate.mjs event events.ndjson
//
// Exit code 0: every line is valid; 1: the first faults are printed; 2: it could not be tried.
// It knows the keywords that the schemas use and refuses a schema that uses another one, so a rule
// cannot be skipped silently. test/schema.test.ts compares its verdicts with Ajv's.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const kIgnored = new Set(['$schema', '$id', '$defs', 'title', 'description', 'default', '$comment', 'examples', 'x-event', 'x-kind', 'x-unit']);
const kFaultsShown = 10;

const kTypes = {
  string: (v) => typeof v === 'string',
  number: (v) => typeof v === 'number',
  integer: (v) => Number.isInteger(v),
  boolean: (v) => typeof v === 'boolean',
  object: (v) => typeof v === 'object' && v !== null && !Array.isArray(v),
  array: (v) => Array.isArray(v),
  null: (v) => v === null,
};

const kKeywords = {
  $ref: (ref, value, at, root, out) => check(resolve(root, ref), value, at, root, out),
  type: (types, value, at, root, out) => {
    if (![types].flat().some((type) => kTypes[type](value))) out.push(`${at}: not of type ${types}`);
  },
  enum: (values, value, at, root, out) => {
    if (!values.includes(value)) out.push(`${at}: ${JSON.stringify(value)} is none of ${JSON.stringify(values)}`);
  },
  const: (wanted, value, at, root, out) => {
    if (value !== wanted) out.push(`${at}: ${JSON.stringify(value)} is not ${JSON.stringify(wanted)}`);
  },
  minimum: (limit, value, at, root, out) => {
    if (typeof value === 'number' && value < limit) out.push(`${at}: ${value} is below ${limit}`);
  },
  maximum: (limit, value, at, root, out) => {
    if (typeof value === 'number' && value > limit) out.push(`${at}: ${value} is above ${limit}`);
  },
  minLength: (limit, value, at, root, out) => {
    if (typeof value === 'string' && [...value].length < limit) out.push(`${at}: shorter than ${limit}`);
  },
  pattern: (pattern, value, at, root, out) => {
    if (typeof value === 'string' && !new RegExp(pattern, 'u').test(value)) {
      out.push(`${at}: ${JSON.stringify(value)} does not match ${pattern}`);
    }
  },
  minItems: (limit, value, at, root, out) => {
    if (Array.isArray(value) && value.length < limit) out.push(`${at}: fewer than ${limit} items`);
  },
  maxItems: (limit, value, at, root, out) => {
    if (Array.isArray(value) && value.length > limit) out.push(`${at}: more than ${limit} items`);
  },
  uniqueItems: (wanted, value, at, root, out) => {
    if (!wanted || !Array.isArray(value)) return;
    if (new Set(value.map((item) => JSON.stringify(item))).size !== value.length) out.push(`${at}: items repeat`);
  },
  items: (schema, value, at, root, out) => {
    if (Array.isArray(value)) value.forEach((item, i) => check(schema, item, `${at}[${i}]`, root, out));
  },
  properties: (schemas, value, at, root, out) => {
    if (!kTypes.object(value)) return;
    for (const [key, schema] of Object.entries(schemas)) {
      if (Object.hasOwn(value, key)) check(schema, value[key], `${at}.${key}`, root, out);
    }
  },
  required: (keys, value, at, root, out) => {
    if (!kTypes.object(value)) return;
    for (const key of keys) if (!Object.hasOwn(value, key)) out.push(`${at}: ${key} is missing`);
  },
  dependentRequired: (rules, value, at, root, out) => {
    if (!kTypes.object(value)) return;
    for (const [key, needed] of Object.entries(rules)) {
      if (!Object.hasOwn(value, key)) continue;
      for (const other of needed) {
        if (!Object.hasOwn(value, other)) out.push(`${at}: ${key} without ${other}`);
      }
    }
  },
  allOf: (schemas, value, at, root, out) => {
    for (const schema of schemas) check(schema, value, at, root, out);
  },
  anyOf: (schemas, value, at, root, out) => {
    if (!schemas.some((schema) => holds(schema, value, root))) out.push(`${at}: fits none of the alternatives`);
  },
  not: (schema, value, at, root, out) => {
    if (holds(schema, value, root)) out.push(`${at}: has what it must not have (${JSON.stringify(schema)})`);
  },
};

// These read their neighbours in the schema, so they are not in the table above.
const kContextual = new Set(['additionalProperties', 'if', 'then', 'else']);

function resolve(root, ref) {
  return ref
    .slice(2)
    .split('/')
    .reduce((schema, key) => schema[key], root);
}

function holds(schema, value, root) {
  const out = [];
  check(schema, value, '', root, out);
  return out.length === 0;
}

/** Appends to `out` one line per fault of `value`; `at` is its path in words. */
export function check(schema, value, at, root, out) {
  if (schema === true) return;
  if (schema === false) {
    out.push(`${at}: not allowed`);
    return;
  }
  for (const [keyword, argument] of Object.entries(schema)) {
    if (kIgnored.has(keyword) || kContextual.has(keyword)) continue;
    const rule = kKeywords[keyword];
    if (rule === undefined) throw new Error(`the schema uses ${keyword}, which validate.mjs does not know`);
    rule(argument, value, at, root, out);
  }
  if ('additionalProperties' in schema && kTypes.object(value)) {
    for (const key of Object.keys(value)) {
      if (Object.hasOwn(schema.properties ?? {}, key)) continue;
      check(schema.additionalProperties, value[key], `${at}.${key}`, root, out);
    }
  }
  if ('if' in schema) {
    const branch = holds(schema.if, value, root) ? schema.then : schema.else;
    if (branch !== undefined) check(branch, value, at, root, out);
  }
}

/** `kind` is message, framed, exchange, event or config. Gives the faults of a value as lines. */
export function validator(kind) {
  const isPart = kind === 'framed' || kind === 'exchange';
  const file = isPart ? 'message' : kind;
  const root = JSON.parse(readFileSync(new URL(`${file}.schema.json`, import.meta.url), 'utf8'));
  const schema = isPart ? root.$defs[kind] : root;
  return (value) => {
    const out = [];
    check(schema, value, '$', root, out);
    return out;
  };
}

function main([kind, file = '-']) {
  if (!['message', 'framed', 'exchange', 'event', 'config'].includes(kind)) {
    process.stderr.write('usage: validate.mjs message|framed|exchange|event|config [FILE]\n');
    return 2;
  }
  const faultsOf = validator(kind);
  const lines = readFileSync(file === '-' ? 0 : file, 'utf8').split('\n');
  let seen = 0;
  let bad = 0;
  lines.forEach((line, i) => {
    if (line === '') return;
    seen += 1;
    let faults;
    try {
      faults = faultsOf(JSON.parse(line));
    } catch (error) {
      faults = [error.message];
    }
    if (faults.length === 0) return;
    bad += 1;
    if (bad <= kFaultsShown) process.stdout.write(`line ${i + 1}: ${faults.join('; ')}\n`);
  });
  process.stdout.write(`${seen} lines, ${bad} invalid\n`);
  return bad === 0 ? 0 : 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = main(process.argv.slice(2));
}
