import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { createSniffer, type ExchangeFields, type MessageFields } from '../src/index.js';
import { makeConversation } from './make-capture.js';
import { packageDir, pcapsDir, realEngine, temporaryDir } from './support.js';

const schemaDir = join(packageDir, '../schema');
const validateScript = join(schemaDir, 'validate.mjs');

const own = (await import(validateScript)) as {
  validator(kind: string): (value: unknown) => string[];
};

function ajvValidator(kind: string): ValidateFunction {
  const isPart = kind === 'framed' || kind === 'exchange';
  const file = isPart ? 'message' : kind;
  const schema = JSON.parse(readFileSync(join(schemaDir, `${file}.schema.json`), 'utf8'));
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  ajv.addSchema(schema);
  const found = ajv.getSchema(isPart ? `${schema.$id}#/$defs/${kind}` : schema.$id);
  assert.ok(found !== undefined);
  return found as ValidateFunction;
}

const endpoints = {
  receiver: { ip: '192.0.2.1', port: 80 },
  destination: { ip: '2001:db8::1', port: 40000 },
};
const request = {
  ...endpoints,
  direction: 'request',
  method: 'GET',
  path: '/',
  httpVersion: '1.1',
  headers: { host: 'a', accept: ['b', 'c'] },
  body: '',
  bodySize: 0,
  timestamp: '2025-02-21T12:00:00.000000Z',
  durationMs: 0.25,
  connectionId: '0123456789abcdef',
  exchange: 0,
};
const { method: _method, path: _path, ...shared } = request;
const response = {
  ...shared,
  direction: 'response',
  statusCode: 200,
  statusText: 'OK',
  latencyMs: -1.5,
};

const pop3 = {
  ...endpoints,
  protocol: 'pop3',
  body: '',
  bodySize: 0,
  timestamp: '2025-02-21T12:00:00.000000Z',
  durationMs: 0,
  connectionId: '0123456789abcdef',
};
const command = { ...pop3, direction: 'request', method: 'USER', argument: 'anna', exchange: 0 };
const reply = { ...pop3, direction: 'response', status: '+OK', statusText: 'ready' };

const laterPart = {
  ...endpoints,
  direction: 'response',
  part: 2,
  body: 'b',
  bodySize: 2,
  timestamp: '2025-02-21T12:00:00.000000Z',
  durationMs: 0.25,
  connectionId: '0123456789abcdef',
  exchange: 0,
};

const validMessages: object[] = [
  { ...response, part: 1 },
  laterPart,
  { ...laterPart, bodyGaps: [[0, 1]] },
  { ...laterPart, lastPart: true, incomplete: 'gap', missingBytes: 1, trailers: { a: 'b' } },
  command,
  { ...command, argument: '' },
  reply,
  { ...reply, status: '-ERR', exchange: 0, latencyMs: 0.5 },
  request,
  response,
  { ...response, exchange: undefined, latencyMs: undefined },
  { ...response, incomplete: 'gap', missingBytes: 5, bodyGaps: [[0, 5]] },
  { ...response, body: undefined, bodyEncoding: 'binary' },
  { ...response, body: 'AA==', bodyEncoding: 'base64', bodyTruncated: true },
  { ...response, contentDecoded: 'deflate, gzip', contentDecodeError: 'truncated' },
  { ...response, trailers: { a: 'b' }, rawHeaders: [['Host', 'a']], latin1: ['path'] },
  {
    ...request,
    firstFrame: 1,
    lastFrame: 2,
    headersSize: 40,
    vlan: 7,
    connectMs: 1.5,
    communityId: '1:LQU9qZlK+B5F3KDmev6m5PMibrg=',
  },
];

const invalidMessages: object[] = [
  { ...response, lastPart: true },
  { ...response, part: 2 },
  { ...response, part: 0 },
  { ...response, part: 1, headers: undefined },
  { ...command, part: 1 },
  { ...laterPart, statusText: '' },
  { ...laterPart, latencyMs: 1 },
  { ...laterPart, part: 1 },
  { ...command, argument: undefined },
  { ...command, exchange: undefined },
  { ...command, path: '/' },
  { ...command, headers: {} },
  { ...command, httpVersion: '1.1' },
  { ...command, status: '+OK' },
  { ...command, protocol: undefined },
  { ...reply, status: '200' },
  { ...reply, statusCode: 200 },
  { ...reply, statusText: undefined },
  { ...reply, argument: 'anna' },
  { ...reply, protocol: 'http' },
  { ...request, argument: '' },
  { ...request, protocol: 'pop3' },
  { ...request, headers: undefined },
  { ...response, httpVersion: undefined },
  { ...response, status: '+OK' },
  { ...request, method: undefined },
  { ...request, statusCode: 200 },
  { ...request, exchange: undefined },
  { ...request, exchange: -1 },
  { ...request, latencyMs: 1 },
  { ...response, statusText: undefined },
  { ...response, path: '/' },
  { ...response, exchange: undefined },
  { ...response, httpVersion: '2' },
  { ...response, missingBytes: 5 },
  { ...response, incomplete: 'lost' },
  { ...response, headers: { a: ['one'] } },
  { ...response, headers: { a: 1 } },
  { ...response, bodyEncoding: 'binary' },
  { ...response, bodyEncoding: 'utf8' },
  { ...response, connectionId: '0123456789ABCDEF' },
  { ...response, timestamp: '2025-02-21T12:00:00Z' },
  { ...response, contentDecoded: true },
  { ...response, surprise: true },
  { ...response, bodyTruncated: false },
  { ...response, receiver: { ip: '192.0.2.1' } },
  { ...response, receiver: { ip: '192.0.2.1', port: 70000 } },
];

test('TheGeneratedSourceIsWhatTheSchemasGive', () => {
  execFileSync(process.execPath, [join(packageDir, 'scripts/generate.mjs'), '--check']);
});

test('TheSchemasAreSchemas', () => {
  for (const kind of ['message', 'framed', 'exchange', 'event', 'config']) ajvValidator(kind);
});

test('TheMessageSchemaTellsGoodFromBad', () => {
  const ajv = ajvValidator('message');
  const validate = own.validator('message');
  const check = (message: object, isValid: boolean): void => {
    const value: unknown = JSON.parse(JSON.stringify(message));
    const text = JSON.stringify(value);
    assert.equal(ajv(value), isValid, `${text} ${JSON.stringify(ajv.errors)}`);
    assert.equal(validate(value).length === 0, isValid, `${text} ${validate(value)}`);
  };
  for (const message of validMessages) check(message, true);
  for (const message of invalidMessages) check(message, false);
});

test('AGapThatTheEngineMadeSaysSo', () => {
  const gap = {
    timestamp: '2025-02-21T12:00:00.000000Z',
    level: 'warn',
    event: 'reassembly_gap',
    message: 'bytes of a connection were not captured',
    connectionId: '0123456789abcdef',
    from: '192.0.2.1:80',
    to: '192.0.2.2:40000',
    packetTime: '2025-02-21T12:00:00.000000Z',
    missingBytes: 1460,
  };
  const ajv = ajvValidator('event');
  const validate = own.validator('event');
  const check = (event: object, isValid: boolean): void => {
    assert.equal(ajv(event), isValid, JSON.stringify(event));
    assert.equal(validate(event).length === 0, isValid, JSON.stringify(event));
  };
  check(gap, true);
  check({ ...gap, cause: 'overload' }, true);
  check({ ...gap, cause: 'network' }, false);
  check({ ...gap, cause: '' }, false);
});

test('TheFramedHeaderHasNoBody', () => {
  const { body: _body, ...header } = response;
  for (const validate of [own.validator('framed'), ajvValidator('framed')]) {
    const isValid = (value: unknown): boolean => {
      const verdict: boolean | string[] = validate(value) as boolean | string[];
      return Array.isArray(verdict) ? verdict.length === 0 : verdict;
    };
    assert.equal(isValid({ ...header, bodyEncoding: 'utf8' }), true);
    assert.equal(isValid(header), true);
    assert.equal(isValid({ ...header, bodyEncoding: 'base64' }), false);
    assert.equal(isValid(response), false);
  }
});

test('BothValidatorsAgreeOnDamagedMessages', () => {
  const ajv = ajvValidator('message');
  const validate = own.validator('message');
  const values: unknown[] = [
    null,
    true,
    -1,
    1.5,
    '',
    'x',
    [],
    ['a', 'b'],
    {},
    { ip: 'x', port: 1 },
  ];
  let refused = 0;
  for (const message of validMessages) {
    for (const key of [...Object.keys(response), ...Object.keys(request), 'vlan', 'bodyGaps']) {
      for (const value of values) {
        const damaged: unknown = JSON.parse(JSON.stringify({ ...message, [key]: value }));
        const verdict = ajv(damaged) as boolean;
        assert.equal(validate(damaged).length === 0, verdict, JSON.stringify(damaged));
        if (!verdict) refused += 1;
      }
    }
  }
  assert.ok(refused > 1000);
});

test('ValidateMjsReadsLinesAndSaysWhichAreBad', () => {
  const lines = [request, { ...request, exchange: -1 }, response].map((m) => JSON.stringify(m));
  const run = spawnSync(process.execPath, [validateScript, 'message'], {
    input: `${lines.join('\n')}\nnonsense\n`,
    encoding: 'utf8',
  });
  assert.equal(run.status, 1);
  assert.match(run.stdout, /^line 2: \$\.exchange: -1 is below 0$/m);
  assert.match(run.stdout, /^line 4: /m);
  assert.match(run.stdout, /^4 lines, 2 invalid$/m);
});

test('ExchangesFitTheirSchema', { skip: realEngine === undefined && 'no engine' }, () => {
  const files = readdirSync(pcapsDir)
    .filter((name) => /\.pcap(ng)?$/.test(name))
    .map((name) => join(pcapsDir, name));
  const ajv = ajvValidator('exchange');
  const validate = own.validator('exchange');
  for (const more of [[], ['--fields', 'extended', '--raw-headers', '--max-body-size', '0']]) {
    const lines = execFileSync(
      realEngine ?? '',
      ['-r', ...files, '--records', 'exchange', '--protocols', 'http,pop3', ...more],
      { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] },
    ).split('\n');
    const exchanges = lines.slice(0, -1).map((line) => JSON.parse(line) as ExchangeFields);
    assert.ok(exchanges.length > 150);
    for (const exchange of exchanges) {
      assert.deepEqual(validate(exchange), [], JSON.stringify(exchange));
      assert.equal(ajv(exchange), true, JSON.stringify(ajv.errors));
      const { orphan, request: asked, response: answer } = exchange;
      if (orphan === 'requestNotCaptured') assert.equal(asked, undefined);
      if (orphan === 'noResponse') assert.equal(answer, undefined);
      assert.equal(ajv({ ...exchange, request: undefined, response: answer, orphan: 'no' }), false);
    }
  }
});

/** Everything that the engine says of the bundled captures, in all forms. */
const variants: object[] = [
  {},
  { binaryBody: 'base64', rawHeaders: true, fields: 'extended' },
  { maxBodySize: 0 },
  { maxBodySize: 100 },
  { format: 'framed', fields: 'extended' },
  { format: 'framed', maxBodySize: 0 },
];

test(
  'WhatTheEngineWritesFitsTheSchemas',
  { skip: realEngine === undefined && 'no engine' },
  async () => {
    const event = ajvValidator('event');
    const files = readdirSync(pcapsDir)
      .filter((name) => /\.pcap(ng)?$/.test(name))
      .map((name) => join(pcapsDir, name));
    const table = spawnSync(realEngine ?? '', ['--help-keys-markdown'], {
      encoding: 'utf8',
    }).stdout;
    const canDecode = !/`decodeBodies`.*not yet supported/.test(table);
    let seen = 0;
    for (const variant of canDecode ? [...variants, { decodeBodies: true }] : variants) {
      const framed = 'format' in variant;
      const message = ajvValidator(framed ? 'framed' : 'message');
      // All captures as one stream.
      const sniffer = createSniffer({ files, ...variant });
      const faults: string[] = [];
      sniffer.on('event', (value) => {
        if (!event(value)) faults.push(`${JSON.stringify(value)}: ${JSON.stringify(event.errors)}`);
      });
      for await (const { raw } of sniffer) {
        const value: MessageFields = JSON.parse(raw.toString());
        seen += 1;
        if (!message(value)) faults.push(`${raw}: ${JSON.stringify(message.errors)}`);
      }
      assert.deepEqual(faults, []);
    }
    assert.ok(seen > 500);
  },
);

test('Pop3LinesFitTheSchema', { skip: realEngine === undefined && 'no engine' }, async () => {
  const capture = join(temporaryDir(), 'pop3.pcap');
  makeConversation(capture, [
    ['server', '+OK ready\r\n'],
    ['client', 'USER anna\r\n'],
    ['server', '+OK\r\n'],
    ['client', 'PASS secret\r\n'],
    ['server', '+OK welcome\r\n'],
    ['client', 'RETR 1\r\n'],
    ['server', '+OK 20 octets\r\nSubject: hello\r\n\r\n..dot\r\n.\r\n'],
    ['client', 'DELE 9\r\n'],
    ['server', '-ERR no such message\r\n'],
    ['client', 'QUIT\r\n'],
    ['server', '+OK bye\r\n'],
  ]);
  const variants = [
    {},
    { fields: 'extended' },
    { format: 'framed', fields: 'extended' },
    { binaryBody: 'base64', rawHeaders: true },
    { maxBodySize: 0 },
  ] as const;
  for (const variant of variants) {
    const valid = ajvValidator('format' in variant ? 'framed' : 'message');
    const seen: unknown[] = [];
    const faults: string[] = [];
    const sniffer = createSniffer({ files: [capture], protocols: ['http', 'pop3'], ...variant });
    for await (const message of sniffer) {
      if (!valid(JSON.parse(message.raw.toString()))) {
        faults.push(`${message.raw}: ${JSON.stringify(valid.errors)}`);
      }
      assert.equal(message.protocol, 'pop3');
      assert.deepEqual(Object.keys(message.headers), []);
      seen.push(message.method ?? message.status);
    }
    assert.deepEqual(faults, []);
    assert.deepEqual(seen, [
      '+OK',
      'USER',
      '+OK',
      'PASS',
      '+OK',
      'RETR',
      '+OK',
      'DELE',
      '-ERR',
      'QUIT',
      '+OK',
    ]);
  }
});
