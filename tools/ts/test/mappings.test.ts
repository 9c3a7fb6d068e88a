import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { isIPv4, isIPv6 } from 'node:net';
import test from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { EcsFlat, EcsVersion } from '@elastic/ecs';
import * as semconv from '@opentelemetry/semantic-conventions';
import * as incubating from '@opentelemetry/semantic-conventions/incubating';
import { Ajv } from 'ajv';
import {
  type EcsDocument,
  type Exchange,
  Message,
  type MessageFields,
  pair,
  toEcs,
  toHar,
  toHarEntry,
  toOtelAttributes,
  toOtelSpan,
  toOtlpTraces,
  toZeekHttp,
} from '../src/index.js';
import { oddMessages, pop3Messages, request, response } from './samples.js';

const exchanges = pair(oddMessages);
const responseAlone = pair([response(9)])[0] as Exchange;
const first = exchanges[0] as Exchange;

function only(messages: MessageFields[]): Exchange {
  const [exchange, ...more] = pair(messages);
  assert.ok(exchange !== undefined && more.length === 0);
  return exchange;
}

// HAR: har-schema, the schema that har-validator uses.
const ajv = new Ajv({
  strict: false,
  formats: {
    'date-time': (text: string) => !Number.isNaN(Date.parse(text)),
    uri: (text: string) => new URL(text).href === text,
    'uri-reference': true,
    ipv4: isIPv4,
    ipv6: isIPv6,
  },
});
const require = createRequire(import.meta.url);
const harSchemas = require('har-schema') as Record<string, object>;
ajv.addMetaSchema(require('ajv/dist/refs/json-schema-draft-06.json'));
for (const schema of Object.values(harSchemas)) ajv.addSchema(schema);

test('AHarFitsItsSchema', () => {
  const har: unknown = JSON.parse(JSON.stringify(toHar([...oddMessages, response(9)])));
  assert.equal(ajv.validate('har.json#', har), true, JSON.stringify(ajv.errors));
});

test('AHarHasWhatDeveloperToolsShow', () => {
  const { log } = toHar([...oddMessages, response(9)]);
  assert.equal(log.entries.length, exchanges.length);
  assert.match(log.comment ?? '', /^1 responses whose request is not known/);
  for (const entry of log.entries) {
    new URL(entry.request.url);
    const { connect, send, wait, receive } = entry.timings;
    const sum = [connect, send, wait, receive].filter((part) => part >= 0);
    assert.ok(Math.abs(entry.time - sum.reduce((total, part) => total + part, 0)) < 1e-6);
    assert.ok(!Number.isNaN(Date.parse(entry.startedDateTime)));
  }
  const [entry] = log.entries;
  assert.equal(entry?.request.url, 'http://shop.example:8080/page/0?q=a%20b&r=');
  assert.deepEqual(entry?.request.queryString, [
    { name: 'q', value: 'a b' },
    { name: 'r', value: '' },
  ]);
  assert.deepEqual(entry?.request.cookies, [
    { name: 'a', value: '1' },
    { name: 'b', value: '2' },
  ]);
  assert.deepEqual(entry?.response.cookies[0], {
    name: 'sid',
    value: 'x',
    path: '/',
    httpOnly: true,
    secure: true,
    expires: '2026-10-21T07:28:00.000Z',
  });
  assert.deepEqual(entry?.response.content, {
    size: 13,
    mimeType: 'text/html; charset=utf-8',
    text: '<p>héllo</p>',
  });
  assert.deepEqual(entry?.timings, {
    blocked: -1,
    dns: -1,
    connect: -1,
    ssl: -1,
    send: 0.5,
    wait: 2.5,
    receive: 1.25,
  });
  const last = log.entries.at(-1);
  assert.equal(last?.response.status, 0);
  assert.equal(last?.comment, 'no response was captured');
});

test('AHarShowsCodedBodiesDecoded', () => {
  const text = 'x'.repeat(1000);
  const codings = {
    gzip: gzipSync(text),
    deflate: deflateSync(text),
    br: brotliCompressSync(text),
  };
  for (const [coding, bytes] of Object.entries(codings)) {
    const { body: _body, ...fields } = response(0, {
      headers: { 'content-encoding': coding, 'content-type': 'text/plain' },
      bodyEncoding: 'binary',
      bodySize: bytes.length,
    });
    const answer = new Message(Buffer.from(JSON.stringify(fields)), bytes);
    const { content, bodySize } = toHar([Message.from(request(0)), answer]).log.entries[0]
      ?.response ?? { content: undefined, bodySize: 0 };
    assert.equal(content?.text, text);
    assert.equal(content?.size, 1000);
    assert.equal(content?.compression, 1000 - bytes.length);
    assert.equal(bodySize, bytes.length);
  }
  const byEngine = response(0, {
    headers: { 'content-encoding': 'gzip' },
    contentDecoded: 'gzip',
    body: text,
    bodySize: 30,
  });
  assert.deepEqual(toHar([request(0), byEngine]).log.entries[0]?.response.content, {
    size: 1000,
    compression: 970,
    mimeType: '',
    text,
  });
  const broken = response(0, {
    headers: { 'content-encoding': 'gzip' },
    body: 'AP8=',
    bodyEncoding: 'base64',
    bodySize: 2,
  });
  const entry = toHar([request(0), broken]).log.entries[0];
  assert.equal(entry?.response.content.encoding, 'base64');
  assert.equal(entry?.response.content.text, 'AP8=');
});

// OpenTelemetry: the names that its own package exports.
const otelNames = new Set<unknown>(
  [...Object.entries(semconv), ...Object.entries(incubating)]
    .filter(([name]) => name.startsWith('ATTR_'))
    .map(([, value]) => value),
);
const otelMethods = new Set<unknown>(
  Object.entries(semconv)
    .filter(([name]) => name.startsWith('HTTP_REQUEST_METHOD_VALUE_'))
    .map(([, value]) => value),
);

test('OtelAttributesAreThoseOfTheSemanticConventions', () => {
  const integers = /\.(port|status_code|size)$/;
  for (const exchange of [...exchanges, responseAlone]) {
    for (const kind of ['server', 'client'] as const) {
      const attributes = toOtelAttributes(exchange, { kind });
      for (const [name, value] of Object.entries(attributes)) {
        assert.ok(otelNames.has(name), name);
        assert.equal(typeof value, integers.test(name) ? 'number' : 'string', name);
      }
      const method = attributes['http.request.method'];
      assert.ok(otelMethods.has(method) || method === '_OTHER');
      // Required, and conditionally required, by the conventions for HTTP spans.
      if (exchange.request !== undefined) {
        if (kind === 'server') assert.ok('url.path' in attributes && 'url.scheme' in attributes);
        else assert.ok('url.full' in attributes && 'server.port' in attributes);
      }
      if (exchange.response !== undefined) assert.ok('http.response.status_code' in attributes);
    }
  }
  assert.equal(toOtelAttributes(exchanges[2] as Exchange)['http.request.method'], '_OTHER');
  assert.equal(toOtelAttributes(exchanges[2] as Exchange)['http.request.method_original'], 'FROB');
});

test('OtelSpansHaveTimesIdsAndStatus', () => {
  const span = toOtelSpan(first, { responseHeaders: ['set-cookie'] });
  assert.equal(span.name, 'GET');
  assert.equal(span.kind, 2);
  assert.equal(span.startTimeUnixNano, '1740139200000250000');
  assert.equal(span.endTimeUnixNano, '1740139200004500000');
  assert.match(span.traceId, /^[0-9a-f]{32}$/);
  assert.match(span.spanId, /^[0-9a-f]{16}$/);
  assert.deepEqual(span, toOtelSpan(first, { responseHeaders: ['set-cookie'] }));
  const cookies = span.attributes.find(({ key }) => key === 'http.response.header.set-cookie');
  assert.equal(cookies?.value.arrayValue?.values.length, 2);
  const status = span.attributes.find(({ key }) => key === 'http.response.status_code');
  assert.deepEqual(status?.value, { intValue: '200' });
  assert.equal(span.status.code, 0);
  const [unavailable, notFound] = [exchanges[1], exchanges[2]] as [Exchange, Exchange];
  assert.equal(toOtelSpan(unavailable).status.code, 2);
  assert.equal(toOtelSpan(notFound).status.code, 0);
  assert.equal(toOtelSpan(notFound, { kind: 'client' }).status.code, 2);
  assert.equal(new Set(exchanges.map((exchange) => toOtelSpan(exchange).spanId)).size, 8);
});

test('AnOtelSpanContinuesTheTraceOfItsRequest', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const span = toOtelSpan(only([request(0, { headers: { traceparent } }), response(0)]));
  assert.equal(span.traceId, '0af7651916cd43dd8448eb211c80319c');
  assert.equal(span.parentSpanId, 'b7ad6b7169203331');
  for (const bad of [
    '00-0-0-01',
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `ff${traceparent.slice(2)}`,
  ]) {
    const alone = toOtelSpan(only([request(0, { headers: { traceparent: bad } }), response(0)]));
    assert.equal(alone.parentSpanId, undefined);
    assert.match(alone.traceId, /^[0-9a-f]{32}$/);
  }
  const body = JSON.stringify(toOtlpTraces([first], 'shop'));
  assert.match(body, /^\{"resourceSpans":\[\{"resource":\{"attributes":\[\{"key":"service.name"/);
});

// ECS: Elastic's own table of fields.
interface EcsField {
  type: string;
  normalize?: readonly string[];
  allowed_values?: readonly { name: string; expected_event_types?: readonly string[] }[];
}
const ecsFields = EcsFlat as unknown as Record<string, EcsField>;

function* leavesOf(value: EcsDocument, prefix = ''): Generator<[string, unknown]> {
  for (const [key, field] of Object.entries(value)) {
    if (typeof field === 'object' && !Array.isArray(field)) {
      yield* leavesOf(field as EcsDocument, `${prefix}${key}.`);
    } else {
      yield [prefix + key, field];
    }
  }
}

function fitsEcsType(type: string, value: unknown): boolean {
  switch (type) {
    case 'long':
      return Number.isInteger(value);
    case 'date':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value));
    case 'ip':
      return typeof value === 'string' && /^[0-9a-f:.]+$/.test(value);
    default:
      return typeof value === 'string' && value !== '';
  }
}

test('EcsDocumentsHaveEcsFieldsOfEcsTypes', () => {
  for (const exchange of [...exchanges, responseAlone]) {
    for (const [name, value] of leavesOf(toEcs(exchange, { bodies: true }))) {
      const field = ecsFields[name];
      assert.ok(field !== undefined, `${name} is no ECS field`);
      assert.equal(Array.isArray(value), field.normalize?.includes('array') ?? false, name);
      for (const item of [value].flat()) {
        assert.ok(fitsEcsType(field.type, item), `${name}: ${item} is no ${field.type}`);
        const allowed = field.allowed_values?.map((one) => one.name) ?? [];
        assert.ok(allowed.length === 0 || allowed.includes(item as string), `${name}: ${item}`);
      }
    }
  }
});

test('EcsDocumentsSayWhatHappened', () => {
  const document = toEcs(first) as Record<string, Record<string, unknown>>;
  assert.equal(document['@timestamp'], '2025-02-21T12:00:00.000250Z');
  assert.deepEqual(document.ecs, { version: EcsVersion });
  assert.equal(document.event?.duration, 4_250_000);
  assert.equal(document.event?.outcome, 'success');
  assert.deepEqual(document.http?.response, {
    status_code: 200,
    mime_type: 'text/html',
    body: { bytes: 13 },
  });
  assert.equal(document.url?.domain, 'shop.example');
  assert.equal(document.source?.ip, '198.51.100.7');
  assert.equal(document.destination?.port, 8080);
  const categories = ecsFields['event.category']?.allowed_values ?? [];
  const expected = categories
    .filter(({ name }) => ['network', 'web'].includes(name))
    .flatMap(({ expected_event_types: types = [] }) => types);
  for (const type of document.event?.type as string[]) assert.ok(expected.includes(type));
});

// Zeek: the fields with &log of HTTP::Info, scripts/base/protocols/http/main.zeek.
const zeekTypes: Record<string, string> = {
  ts: 'time',
  uid: 'string',
  'id.orig_h': 'addr',
  'id.orig_p': 'port',
  'id.resp_h': 'addr',
  'id.resp_p': 'port',
  trans_depth: 'count',
  method: 'string',
  host: 'string',
  uri: 'string',
  referrer: 'string',
  version: 'string',
  user_agent: 'string',
  origin: 'string',
  request_body_len: 'count',
  response_body_len: 'count',
  status_code: 'count',
  status_msg: 'string',
  info_code: 'count',
  info_msg: 'string',
  tags: 'set[enum]',
  username: 'string',
  password: 'string',
  proxied: 'set[string]',
};
const zeekRequired = [
  'ts',
  'uid',
  'id.orig_h',
  'id.orig_p',
  'id.resp_h',
  'id.resp_p',
  'trans_depth',
  'tags',
  'request_body_len',
  'response_body_len',
];

test('ZeekRecordsHaveTheFieldsOfHttpLog', () => {
  for (const exchange of [...exchanges, responseAlone]) {
    const record = toZeekHttp(exchange) as unknown as Record<string, unknown>;
    for (const name of zeekRequired) assert.ok(name in record, name);
    for (const [name, value] of Object.entries(record)) {
      const type = zeekTypes[name];
      assert.ok(type !== undefined, `${name} is no field of http.log`);
      if (type === 'time') assert.equal(typeof value, 'number');
      else if (type === 'count' || type === 'port') assert.ok(Number.isInteger(value), name);
      else if (type.startsWith('set')) assert.ok(Array.isArray(value), name);
      else assert.equal(typeof value, 'string', name);
    }
  }
});

test('ZeekRecordsSayWhatHappened', () => {
  const record = toZeekHttp(
    only([
      request(1, {
        headers: {
          host: 'a.example',
          authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}`,
          'x-forwarded-for': ['1.1.1.1', '2.2.2.2'],
        },
      }),
      response(1, { statusCode: 100, statusText: 'Continue' }),
      response(1),
    ]),
  );
  assert.equal(record.ts, 1740139200.00025);
  assert.equal(record.trans_depth, 2);
  assert.equal(record.username, 'ann');
  assert.ok(!JSON.stringify(record).includes('secret'));
  assert.deepEqual(record.proxied, ['X-FORWARDED-FOR -> 1.1.1.1', 'X-FORWARDED-FOR -> 2.2.2.2']);
  assert.deepEqual([record.info_code, record.status_code], [100, 200]);
});

test('OtherProtocolsAreNoExchangesOfHttp', () => {
  const mail = only([...pop3Messages]);
  for (const convert of [toEcs, toHarEntry, toOtelAttributes, toOtelSpan, toZeekHttp]) {
    assert.throws(() => convert(mail), { name: 'TypeError', message: /pop3, not of HTTP/ });
  }
  const page = only([request(0), response(0)]);
  assert.deepEqual(toHar([mail, page]), toHar([page]));
  assert.equal(toHar([...pop3Messages, ...oddMessages]).log.entries.length, exchanges.length);
  assert.deepEqual(toOtlpTraces([mail, page], 'shop'), toOtlpTraces([page], 'shop'));
});
