// What the mappings say of a request, held to the semantic conventions' sentences.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  createSniffer,
  type Exchange,
  type ExchangeFields,
  exchangeOfFields,
  type HttpMessageFields,
  pair,
  semanticConventionsVersion,
  toEcs,
  toHarEntry,
  toOtelAttributes,
  toOtelSpan,
  toOtlpTraces,
  toZeekHttp,
} from '../src/index.js';
import { request, response } from './samples.js';
import { packageDir, pcapsDir, realEngine } from './support.js';

function exchange(fields: Partial<HttpMessageFields>, answer = response(0)): Exchange {
  const { client } = fields;
  const both = pair([request(0, fields), client === undefined ? answer : { ...answer, client }]);
  return both[0] as Exchange;
}

test('TheVersionOfTheConventionsIsTheOneTestedAgainstAndTheOneDocumented', () => {
  const read = (path: string): string => readFileSync(join(packageDir, path), 'utf8');
  const { version } = JSON.parse(
    read('node_modules/@opentelemetry/semantic-conventions/package.json'),
  );
  assert.equal(semanticConventionsVersion, version);
  assert.ok(read('README.md').includes(`semantic conventions ${version}`));
  const schema = JSON.stringify(toOtlpTraces([exchange({})], 'shop'));
  assert.match(schema, /"schemaUrl":"https:\/\/opentelemetry\.io\/schemas\/1\.45\.0"/);
});

test('OnlyAConnectionThatWasSeenToEndWithoutAResponseIsAnError', () => {
  const [alone] = pair([request(0)]);
  assert.ok(alone !== undefined);
  const cases: [Partial<Exchange>, string | undefined, string][] = [
    [{}, undefined, 'unknown'],
    [{ orphanReason: 'responseNotCaptured', orphanCause: 'gap' }, undefined, 'unknown'],
    [{ orphanCause: 'limit' }, undefined, 'unknown'],
    [{ orphanReason: 'noResponse', orphanCause: 'closed' }, 'no_response', 'failure'],
  ];
  for (const [fields, errorType, outcome] of cases) {
    const orphan: Exchange = { ...alone, ...fields };
    for (const kind of ['server', 'client'] as const) {
      const span = toOtelSpan(orphan, { kind });
      assert.equal(toOtelAttributes(orphan, { kind })['error.type'], errorType);
      assert.equal(span.status.code, errorType === undefined ? 0 : 2);
      assert.ok(!('http.response.status_code' in toOtelAttributes(orphan, { kind })));
    }
    assert.deepEqual((toEcs(orphan).event as { outcome: string }).outcome, outcome);
  }
  const cut = exchange({}, response(0, { incomplete: 'closed' }));
  assert.equal(toOtelAttributes(cut)['error.type'], 'incomplete_response');
  const lost = exchange({}, response(0, { incomplete: 'gap' }));
  assert.equal(toOtelAttributes(lost)['error.type'], undefined);
});

test('LinesOfTheEngineAreMappedAsTheyAre', () => {
  const line: ExchangeFields = {
    timestamp: '2025-02-21T12:00:00.000250Z',
    connectionId: '00000000000000aa',
    exchange: 0,
    receiver: { ip: '192.0.2.1', port: 80 },
    destination: { ip: '198.51.100.7', port: 40000 },
    orphan: 'noResponse',
    request: {
      method: 'GET',
      path: '/',
      httpVersion: '1.1',
      headers: {},
      bodySize: 0,
      durationMs: 0,
    },
  };
  const converted = exchangeOfFields(line);
  assert.equal(toOtelAttributes(line)['error.type'], 'no_response');
  for (const convert of [toEcs, toOtelSpan, toZeekHttp]) {
    assert.deepEqual(convert(line), convert(converted));
  }
  assert.equal(toHarEntry(line).comment, 'the server sent no response');
});

test('HalfACharacterInAPathIsNoError', () => {
  const halves = exchange({ path: '/a\ud800?b=\udc00' });
  for (const convert of [toEcs, toHarEntry, toOtelSpan, toZeekHttp]) convert(halves);
  assert.equal(toHarEntry(halves).request.url.split('/').pop(), 'a%EF%BF%BD?b=%EF%BF%BD');
  const span = toOtelAttributes(halves, { kind: 'client' });
  assert.match(String(span['url.full']), /a%EF%BF%BD/);
});

/** client.address, client.port, url.scheme, server.address, server.port of a server's span. */
function originOf(fields: Partial<HttpMessageFields>) {
  const attributes = toOtelAttributes(exchange(fields));
  assert.equal(attributes['network.peer.address'], '198.51.100.7');
  assert.equal(attributes['network.peer.port'], 40000);
  const ecs = toEcs(exchange(fields)) as Record<string, Record<string, unknown>>;
  assert.equal(ecs.source?.ip, '198.51.100.7');
  assert.equal(ecs.client?.ip, attributes['client.address']);
  assert.equal(ecs.client?.port, attributes['client.port']);
  assert.equal(ecs.url?.scheme, attributes['url.scheme']);
  assert.equal(ecs.url?.domain, attributes['server.address']);
  assert.equal(ecs.url?.port, attributes['server.port']);
  return ['client.address', 'client.port', 'url.scheme', 'server.address', 'server.port'].map(
    (name) => attributes[name],
  );
}

test('ForwardedHeadersAreBelievedWhereTheEngineBelievesThem', () => {
  const host = 'inner.example:8080';
  const forwarded = {
    host,
    forwarded: 'for=203.0.113.9;proto=https;host=shop.example, for=10.0.0.3;proto=http',
  };
  const inner = [80, 8080];
  // Not configured: anybody can write such headers.
  assert.deepEqual(originOf({ headers: forwarded }), [
    '198.51.100.7',
    40000,
    'http',
    'inner.example',
    inner[1],
  ]);
  const client = '203.0.113.9';
  const cases: [Record<string, string | string[]>, unknown[]][] = [
    [forwarded, [client, undefined, 'https', 'shop.example', 443]],
    // A client that writes the header itself; the proxy's element is the last one.
    [
      { host, forwarded: `for=${client};proto=https, for="${client}:4711";proto=http` },
      [client, undefined, 'http', 'inner.example', 8080],
    ],
    [
      { host, forwarded: [`For="${client}";PROTO="https"`, 'for=10.0.0.3'] },
      [client, undefined, 'https', 'inner.example', 8080],
    ],
    [
      {
        host,
        'x-forwarded-for': client,
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'a.example:8443',
      },
      [client, undefined, 'https', 'a.example', 8443],
    ],
    [
      {
        host,
        'x-forwarded-for': `6.6.6.6, ${client}, 10.0.0.3`,
        'x-forwarded-proto': 'http, https, http',
      },
      [client, undefined, 'https', 'inner.example', 8080],
    ],
    [
      { host, 'x-forwarded-for': `${client}, 10.0.0.3`, 'x-forwarded-proto': 'https' },
      [client, undefined, 'https', 'inner.example', 8080],
    ],
    // A scheme that is none.
    [
      { host, 'x-forwarded-for': client, 'x-forwarded-proto': 'javascript' },
      [client, undefined, 'http', 'inner.example', 8080],
    ],
    [{ host: 'inner.example' }, [client, undefined, 'http', 'inner.example', 80]],
  ];
  for (const [headers, expected] of cases) {
    assert.deepEqual(originOf({ client, headers }), expected, JSON.stringify(headers));
  }
  assert.deepEqual(
    originOf({
      client: '2001:db8::9',
      headers: { host, forwarded: 'for="[2001:DB8:0::9]:99";proto=https' },
    }).slice(0, 3),
    ['2001:db8::9', undefined, 'https'],
  );
});

const options = { skip: realEngine === undefined && 'no engine' };

test('TheClientsOfACaptureBehindTwoProxiesAreFound', options, async () => {
  const sniffer = createSniffer({
    files: [join(pcapsDir, 'forwarded.pcap')],
    ports: [3000],
    trustedProxies: 2,
    records: 'exchange',
  });
  const clients = new Set<unknown>();
  for await (const one of sniffer.exchanges()) {
    const attributes = toOtelAttributes(one);
    assert.match(String(attributes['network.peer.address']), /^(127\.0\.0\.1|::1)$/);
    clients.add(attributes['client.address']);
  }
  assert.deepEqual([...clients].sort(), ['10.77.0.1', 'fd77::1']);
});

test('TheProxyProtocolSaysPortAndEncryption', () => {
  const proxied = {
    source: { ip: '203.0.113.9', port: 5555 },
    destination: { ip: '192.0.2.80', port: 443 },
    tls: true,
  } as const;
  const headers = { host: 'shop.example' };
  assert.deepEqual(originOf({ client: '203.0.113.9', proxied, headers }), [
    '203.0.113.9',
    5555,
    'https',
    'shop.example',
    443,
  ]);
});

test('TheClientsSpanSaysWhatTheClientSent', () => {
  const attributes = toOtelAttributes(
    exchange({
      client: '203.0.113.9',
      path: '/a?color=blue&sig=secret&Signature=x=y&X-Goog-Signature=&AWSAccessKeyId=1',
      headers: { host: 'inner.example', 'x-forwarded-proto': 'https' },
    }),
    { kind: 'client' },
  );
  assert.equal(
    attributes['url.full'],
    'http://inner.example/a?color=blue&sig=REDACTED&Signature=REDACTED&X-Goog-Signature=REDACTED&AWSAccessKeyId=REDACTED',
  );
  assert.deepEqual(
    [attributes['server.address'], attributes['server.port']],
    ['inner.example', 80],
  );
  const absolute = toOtelAttributes(
    exchange({ path: 'http://ann:secret@other.example:81/a', headers: { host: 'proxy.example' } }),
    { kind: 'client' },
  );
  assert.equal(absolute['url.full'], 'http://REDACTED:REDACTED@other.example:81/a');
  assert.deepEqual([absolute['server.address'], absolute['server.port']], ['other.example', 81]);
  const server = toOtelAttributes(exchange({ path: '/a?x=1&sig=secret' }));
  assert.equal(server['url.query'], 'x=1&sig=REDACTED');
});

test('ARouteIsTheFirstPatternThatMatches', () => {
  const routes = [
    '/users/me',
    '/users/:id',
    '/users/{id}/orders/{order}.json',
    '/static/**',
    '/*/about',
    '/a.b(c)',
  ];
  const cases: [string, string | undefined][] = [
    ['/users/me', '/users/me'],
    ['/users/17?q=/x', '/users/:id'],
    ['/users/', undefined],
    ['/users/17/', undefined],
    ['/users/17/orders/9.json', '/users/{id}/orders/{order}.json'],
    ['/users/17/orders/9xjson', undefined],
    ['/static', '/static/**'],
    ['/static/a/b/c.css', '/static/**'],
    ['/statics', undefined],
    ['/de/about', '/*/about'],
    ['/a.b(c)', '/a.b(c)'],
    ['/axb(c)', undefined],
    ['http://other.example/users/5', '/users/:id'],
    ['*', undefined],
  ];
  for (const [path, route] of cases) {
    const one = exchange({ path });
    assert.equal(toOtelAttributes(one, { routes })['http.route'], route, path);
    assert.equal(toOtelSpan(one, { routes }).name, route === undefined ? 'GET' : `GET ${route}`);
    const client = toOtelAttributes(one, { routes, kind: 'client' });
    assert.equal(client['http.route'], undefined);
    assert.equal(client['url.template'], route);
  }
  const odd = exchange({ method: 'FROB', path: '/users/5' });
  assert.equal(toOtelSpan(odd, { routes }).name, 'HTTP /users/:id');
  assert.equal(toOtelSpan(odd, { routes, knownMethods: ['FROB'] }).name, 'FROB /users/:id');
  for (const bad of ['users', '', '/{a}{b}']) {
    assert.throws(() => toOtelSpan(odd, { routes: [bad] }), /^TypeError: route /);
  }
});

test('AHostilePathIsMatchedInLittleTime', () => {
  const routes = ['/{a}/x{b}y/:c/**'];
  const begin = performance.now();
  for (const path of [
    `/${'a'.repeat(200_000)}`,
    '/x'.repeat(100_000),
    `/a/x${'y'.repeat(200_000)}z`,
  ]) {
    toOtelSpan(exchange({ path }), { routes });
  }
  assert.ok(performance.now() - begin < 2000);
});
