// Where --to sends, and as whom.
import assert from 'node:assert/strict';
import test from 'node:test';
import { elasticProtocol } from '../src/send/elastic.js';
import { endpointOf } from '../src/send/endpoint.js';
import { otlpMetricsProtocol } from '../src/send/otlp.js';
import { toLoki, toTraces } from './senders.js';

test('EndpointsSayWhereToAndAsWhom', () => {
  const env = {
    OUTPUT_URL_AUTH_TOKEN: 'one',
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=two%3D, x-tenant = 5',
    ELASTIC_API_KEY: 'three',
    LOKI_USERNAME: 'ann',
    LOKI_PASSWORD: 'four',
    LOKI_ORG_ID: 'tenant',
  };
  const cases: [string, string, Record<string, string>][] = [
    ['https://a.example/in?x=1#y', 'https://a.example/in', { authorization: 'Bearer one' }],
    [
      'otlp:http://a.example:4318',
      'otlp:http://a.example:4318',
      { 'api-key': 'two=', 'x-tenant': '5' },
    ],
    [
      'elastic:https://a.example/idx/',
      'elastic:https://a.example/idx/',
      { authorization: 'ApiKey three' },
    ],
    [
      'loki:http://a.example',
      'loki:http://a.example',
      { authorization: `Basic ${btoa('ann:four')}`, 'x-scope-orgid': 'tenant' },
    ],
  ];
  for (const [text, name, headers] of cases) {
    const endpoint = endpointOf(text, env);
    assert.equal(endpoint.name, name);
    assert.deepEqual(endpoint.headers, headers);
  }
  const named = endpointOf('elastic:http://ann:p%40ss@a.example/idx', {});
  assert.equal(named.headers.authorization, `Basic ${btoa('ann:p@ss')}`);
  assert.equal(named.url.href, 'http://a.example/idx');
  const urls = [
    toTraces('http://a.example/otlp/').url.href,
    otlpMetricsProtocol(endpointOf('otlp:http://a.example', {})).url.href,
    elasticProtocol(endpointOf('elastic:http://a.example/p/idx/', {})).url.href,
    toLoki('http://a.example').url.href,
  ];
  assert.deepEqual(urls, [
    'http://a.example/otlp/v1/traces',
    'http://a.example/v1/metrics',
    'http://a.example/p/idx/_bulk',
    'http://a.example/loki/api/v1/push',
  ]);
});

test('BadEndpointsAreRefusedWithoutTheirSecrets', () => {
  const bad: [string, Record<string, string>, RegExp][] = [
    ['ftp://ann:secret@a/', {}, /is no receiver; allowed: http/],
    ['elastic:ann:secret@a/idx', {}, /is no receiver/],
    ['elastic:http://ann:secret@a.example', {}, /names no index/],
    ['otlp:http://ann:secret@', {}, /is not a URL/],
    ['https://ann:secret%@a.example', {}, /has a % that begins no byte/],
    [
      'https://a.example',
      { OUTPUT_URL_AUTH_TOKEN: 'secret\n' },
      /^OUTPUT_URL_AUTH_TOKEN: the value/,
    ],
    ['loki:https://a.example', { LOKI_BEARER_TOKEN: 'secret\n' }, /^LOKI_BEARER_TOKEN: the value/],
    [
      'otlp:https://a.example',
      { OTEL_EXPORTER_OTLP_HEADERS: 'a=secret%0A' },
      /^OTEL_EXPORTER_OTLP_HEADERS: "a"/,
    ],
    [
      'otlp:https://a.example',
      { OTEL_EXPORTER_OTLP_HEADERS: 'secret' },
      /^OTEL_EXPORTER_OTLP_HEADERS: ""/,
    ],
  ];
  for (const [text, env, pattern] of bad) {
    assert.throws(
      () => endpointOf(text, env),
      (error: Error) => pattern.test(error.message) && !error.message.includes('secret'),
      text,
    );
  }
});
