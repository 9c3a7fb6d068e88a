// Senders against receivers that enforce their protocols' rules.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { type Exchange, type HttpMessageFields, pair } from '../src/index.js';
import { RequestDurations } from '../src/mappings/otel-metrics.js';
import { DeadLetters } from '../src/send/dead-letters.js';
import { elasticItem, elasticProtocol } from '../src/send/elastic.js';
import { endpointOf } from '../src/send/endpoint.js';
import { linesProtocol } from '../src/send/lines.js';
import { lokiItem, lokiProtocol } from '../src/send/loki.js';
import {
  otlpItem,
  otlpMetricsItem,
  otlpMetricsProtocol,
  otlpTracesProtocol,
} from '../src/send/otlp.js';
import { retryAfterMs } from '../src/send/post.js';
import type { Protocol } from '../src/send/protocol.js';
import { Sender, type SenderOptions } from '../src/send/sender.js';
import {
  ElasticReceiver,
  LinesReceiver,
  LokiReceiver,
  OtlpReceiver,
  type Receiver,
} from './receivers.js';
import { request, response } from './samples.js';
import { MemoryLogger, temporaryDir, until } from './support.js';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (error) => unhandled.push(error));
after(() => assert.deepEqual(unhandled, []));

const quick: Partial<SenderOptions> = {
  batchWaitMs: 5,
  firstDelayMs: 4,
  maxDelayMs: 20,
  giveUpMs: 300,
};

function exchanges(count: number, fields: Partial<HttpMessageFields> = {}): Exchange[] {
  const messages = Array.from({ length: count }, (_, i) => [request(i, fields), response(i)]);
  return pair(messages.flat());
}

interface Setup {
  sender: Sender;
  logger: MemoryLogger;
  /** Ends everything; gives the dead letters. */
  finish(): Promise<Record<string, unknown>[]>;
}

async function setup(
  receiver: Receiver,
  protocolOf: (url: string) => Protocol,
  options: Partial<SenderOptions> = {},
): Promise<Setup> {
  const path = join(temporaryDir(), 'dead.ndjson');
  const letters = new DeadLetters(path);
  const logger = new MemoryLogger();
  const protocol = protocolOf(await receiver.listen());
  const sender = new Sender(protocol, logger, letters, { ...quick, ...options });
  const finish = async () => {
    await sender.end();
    letters.close();
    receiver.close();
    assert.deepEqual(receiver.faults, []);
    assert.equal(sender.stats.queued, 0);
    if (!existsSync(path)) return [];
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { sender, logger, finish };
}

const toLines = (url: string) => linesProtocol(endpointOf(`${url}/in`, {}));
const toElastic = (url: string) => elasticProtocol(endpointOf(`elastic:${url}/http`, {}));
const toLoki = (url: string) => lokiProtocol(endpointOf(`loki:${url}`, {}), 'shop');
const toTraces = (url: string) => otlpTracesProtocol(endpointOf(`otlp:${url}`, {}), 'shop');
const lineOf = (i: number) => ({ text: `{"n":${i}}` });

test('LinesArriveInOrderInCompressedBatches', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 10 });
  for (let i = 0; i < 95; i += 1) sender.write(lineOf(i));
  assert.deepEqual(await finish(), []);
  assert.deepEqual(
    receiver.lines,
    Array.from({ length: 95 }, (_, i) => lineOf(i).text),
  );
  assert.equal(receiver.taken.length, 10);
  assert.equal(sender.stats.delivered, 95);
});

test('ABatchIsNotLargerThanItsBytesUnlessOneItemIs', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchBytes: 100 });
  for (const size of [40, 40, 40, 300, 10]) sender.write({ text: `"${'x'.repeat(size - 2)}"` });
  await finish();
  assert.deepEqual(
    receiver.taken.map(({ text }) => text.length),
    [82, 41, 301, 11],
  );
});

test('APartOfABatchLeavesAfterItsWait', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchWaitMs: 10 });
  sender.write(lineOf(0));
  await until(() => sender.stats.delivered === 1, 'the first');
  sender.write(lineOf(1));
  await until(() => sender.stats.delivered === 2, 'the second');
  await finish();
  assert.equal(receiver.taken.length, 2);
});

test('WhatTheProtocolsCallTemporaryIsSentAgainAndNothingElse', async () => {
  for (const status of [429, 502, 503, 504]) {
    const receiver = new LinesReceiver([{ status }, { status }, { status, cut: true }]);
    const { sender, finish } = await setup(receiver, toLines);
    sender.write(lineOf(0));
    assert.deepEqual(await finish(), []);
    assert.equal(sender.stats.retries, 3);
    assert.deepEqual(receiver.lines, ['{"n":0}']);
  }
  for (const status of [301, 400, 401, 403, 404, 408, 413, 500, 501]) {
    const receiver = new LinesReceiver([{ status, body: 'the reason\n\u001b[31m' }]);
    const { sender, finish, logger } = await setup(receiver, toLines);
    sender.write(lineOf(0));
    const letters = await finish();
    assert.equal(receiver.taken.length, 1, String(status));
    assert.deepEqual(
      letters.map(({ item, reason }) => [item, reason]),
      [[{ n: 0 }, `the receiver answered ${status} the reason [31m`]],
    );
    assert.deepEqual([sender.stats.rejected, sender.stats.lost], [1, 0]);
    assert.match(logger.errors[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+\/in: 1 not delivered: the/);
  }
});

test('TheWaitsDoubleAndRetryAfterBeatsThem', async () => {
  const busy = { status: 503 };
  const receiver = new LinesReceiver([
    busy,
    busy,
    busy,
    { status: 429, headers: { 'retry-after': '1' } },
  ]);
  const { sender, finish } = await setup(receiver, toLines, {
    firstDelayMs: 40,
    maxDelayMs: 100,
    giveUpMs: 10_000,
  });
  sender.write(lineOf(0));
  await finish();
  const times = receiver.taken.map(({ at }) => at);
  const waits = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  [20, 40, 50, 1000].forEach((least, i) => {
    assert.ok((waits[i] ?? 0) >= least - 2, `${i}: ${waits[i]} ms`);
  });
  assert.equal(waits.length, 4);
});

test('RetryAfterIsSecondsOrADate', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfterMs({ 'retry-after': '120' }, now), 120_000);
  assert.equal(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2026 00:00:05 GMT' }, now), 5000);
  assert.equal(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2025 00:00:05 GMT' }, now), 0);
  assert.equal(retryAfterMs({ 'retry-after': 'soon' }, now), undefined);
  assert.equal(retryAfterMs({}, now), undefined);
});

test('AReceiverThatStaysAwayIsGivenUpAndDoesNotHoldUpTheRest', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 1, giveUpMs: 100 });
  receiver.close();
  const begin = performance.now();
  for (let i = 0; i < 100; i += 1) sender.write(lineOf(i));
  const letters = await finish();
  assert.ok(performance.now() - begin < 3000);
  assert.equal(letters.length, 100);
  assert.match(String(letters[0]?.reason), /^given up after \d+ attempts: .*ECONNREFUSED/);
  assert.deepEqual(
    letters.map(({ item }) => (item as { n: number }).n),
    Array.from({ length: 100 }, (_, i) => i),
  );
});

test('AfterALongRetryAfterNothingIsSentUntilThen', async () => {
  const receiver = new LinesReceiver([{ status: 503, headers: { 'retry-after': '3600' } }]);
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 1 });
  for (let i = 0; i < 10; i += 1) sender.write(lineOf(i));
  assert.equal((await finish()).length, 10);
  assert.equal(receiver.taken.length, 1);
});

test('ABatchThatIsTooLargeIsSentInHalves', async () => {
  const receiver = new LinesReceiver([{ status: 413 }, { status: 413 }]);
  const { sender, finish } = await setup(receiver, toLines);
  for (let i = 0; i < 8; i += 1) sender.write(lineOf(i));
  assert.deepEqual(await finish(), []);
  assert.deepEqual(
    receiver.taken.map(({ text }) => text.trimEnd().split('\n').length),
    [8, 4, 2, 2, 4],
  );
  assert.equal(receiver.lines.length, 8);
});

test('AFullQueueMakesItsWriterWait', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { queueBytes: 2000, batchItems: 5 });
  let most = 0;
  for (let i = 0; i < 500; i += 1) {
    const wait = sender.write(lineOf(i));
    most = Math.max(most, sender.stats.queued);
    if (wait !== undefined) await wait;
  }
  await finish();
  assert.ok(most < 20, `${most} in the queue`);
  assert.equal(receiver.lines.length, 500);
});

test('AnAbortMakesDeadLettersOfWhatIsLeft', async () => {
  const receiver = new LinesReceiver(Array(1000).fill({ status: 503 }));
  const { sender, finish } = await setup(receiver, toLines, {
    giveUpMs: 60_000,
    maxDelayMs: 60_000,
  });
  for (let i = 0; i < 10; i += 1) sender.write(lineOf(i));
  await until(() => receiver.taken.length > 1, 'an attempt');
  sender.abort();
  assert.equal((await finish()).length, 10);
});

test('InAHurryAPauseEndsAndTheRestIsGivenUpInTime', async () => {
  const busy = { status: 503 };
  const receiver = new LinesReceiver([busy, ...Array(10).fill(busy)]);
  const { sender, finish } = await setup(receiver, toLines, {
    firstDelayMs: 60_000,
    maxDelayMs: 60_000,
    giveUpMs: 600_000,
  });
  sender.write(lineOf(0));
  await until(() => sender.stats.retries === 1, 'a pause');
  sender.hurry(20_000);
  await until(() => receiver.taken.length === 2, 'the attempt after the pause');
  // The next pause would be too long.
  assert.equal((await finish()).length, 1);
});

test('WithoutAFileWhatIsRejectedIsCountedAsLost', async () => {
  const receiver = new LinesReceiver([{ status: 400 }]);
  const sender = new Sender(toLines(await receiver.listen()), new MemoryLogger(), undefined, quick);
  sender.write(lineOf(0));
  await sender.end();
  receiver.close();
  assert.deepEqual([sender.stats.rejected, sender.stats.lost], [1, 1]);
});

test('DeadLettersThatCannotBeWrittenAreCountedAsLost', async () => {
  if (!existsSync('/dev/full')) return;
  const receiver = new LinesReceiver([{ status: 400 }]);
  const logger = new MemoryLogger();
  const letters = new DeadLetters('/dev/full');
  const sender = new Sender(toLines(await receiver.listen()), logger, letters, quick);
  sender.write(lineOf(0));
  await sender.end();
  receiver.close();
  assert.deepEqual([sender.stats.rejected, sender.stats.lost], [1, 1]);
  assert.match(logger.errors[1] ?? '', /^dead letters: ENOSPC/);
});

test('ADeadLetterFileThatStaysEmptyIsRemovedAnOldOneIsKept', () => {
  const path = join(temporaryDir(), 'dead.ndjson');
  new DeadLetters(path).close();
  assert.ok(!existsSync(path));
  writeFileSync(path, 'old\n');
  const letters = new DeadLetters(path);
  letters.write('x', [{ item: { text: 'no JSON' }, reason: 'because' }]);
  letters.close();
  const [old, line] = readFileSync(path, 'utf8').split('\n');
  assert.equal(old, 'old');
  assert.equal(JSON.parse(line ?? '').item, 'no JSON');
});

test('SpansArriveAsOtlpWantsThem', async () => {
  const receiver = new OtlpReceiver();
  const { sender, finish } = await setup(receiver, toTraces, { batchItems: 40 });
  for (const exchange of exchanges(100)) sender.write(otlpItem(exchange, {}));
  assert.deepEqual(await finish(), []);
  assert.equal(receiver.spans.length, 100);
  assert.equal(new Set(receiver.spans.map(({ spanId }) => spanId)).size, 100);
  assert.match(String(receiver.service), /"service.name","value":\{"stringValue":"shop"/);
});

test('APartialSuccessIsNotSentAgainAndItsSpansAreCounted', async () => {
  for (const rejectedSpans of [3, '3']) {
    const body = JSON.stringify({ partialSuccess: { rejectedSpans, errorMessage: 'too old' } });
    const receiver = new OtlpReceiver([{ status: 200, body }]);
    const { sender, finish } = await setup(receiver, toTraces);
    for (const exchange of exchanges(10)) sender.write(otlpItem(exchange, {}));
    const letters = await finish();
    assert.equal(receiver.taken.length, 1);
    assert.deepEqual([sender.stats.delivered, sender.stats.rejected], [7, 3]);
    // Which three is not known, so all are kept.
    assert.equal(letters.length, 10);
    assert.equal(letters[0]?.reason, '3 of these 10, not known which: too old');
  }
  const warned = JSON.stringify({ partialSuccess: { errorMessage: 'use the other port' } });
  const receiver = new OtlpReceiver([
    { status: 200, body: warned },
    { status: 200, body: '' },
  ]);
  const { sender, finish, logger } = await setup(receiver, toTraces, { batchItems: 5 });
  for (const exchange of exchanges(10)) sender.write(otlpItem(exchange, {}));
  assert.deepEqual(await finish(), []);
  assert.equal(sender.stats.delivered, 10);
  assert.match(logger.warnings[0] ?? '', /use the other port/);
});

test('DurationsAreAHistogramOfBoundedSize', async () => {
  const receiver = new OtlpReceiver();
  const metrics = (url: string) => otlpMetricsProtocol(endpointOf(`otlp:${url}`, {}));
  const { sender, finish } = await setup(receiver, metrics);
  const durations = new RequestDurations({ routes: ['/page/*'] });
  assert.ok(durations.isEmpty);
  for (const exchange of exchanges(10)) durations.add(exchange);
  // Neither is known to have ended.
  durations.add(pair([request(0)])[0] as Exchange);
  durations.add(pair([response(0)])[0] as Exchange);
  const unanswered: Exchange = { ...(pair([request(0)])[0] as Exchange) };
  unanswered.orphanReason = 'noResponse';
  durations.add(unanswered);
  sender.write(otlpMetricsItem(durations, 'shop'));
  await finish();
  const [answered, second, ...more] = receiver.points;
  assert.deepEqual(more, []);
  assert.equal(answered?.count, '10');
  assert.ok(Math.abs(Number(answered?.sum) - 0.0425) < 1e-9);
  assert.deepEqual(answered?.attributes, [
    { key: 'http.request.method', value: { stringValue: 'GET' } },
    { key: 'url.scheme', value: { stringValue: 'http' } },
    { key: 'http.response.status_code', value: { intValue: '200' } },
    { key: 'http.route', value: { stringValue: '/page/*' } },
    { key: 'network.protocol.name', value: { stringValue: 'http' } },
    { key: 'network.protocol.version', value: { stringValue: '1.1' } },
  ]);
  assert.match(JSON.stringify(second?.attributes), /"error.type","value":\{"stringValue":"no_res/);

  for (let status = 0; status < 5000; status += 1) {
    durations.add(pair([request(0), response(0, { statusCode: status })])[0] as Exchange);
  }
  const json = JSON.stringify(durations.toOtlp('shop'));
  assert.equal(json.match(/"bucketCounts"/g)?.length, 2000);
  assert.match(json, /otel\.metric\.overflow/);
});

test('DocumentsArriveOnceThoughTheyAreSentTwice', async () => {
  // The first answer is lost: the documents are there, and nobody knows.
  const receiver = new ElasticReceiver();
  const { sender, finish } = await setup(receiver, toElastic, { batchItems: 10 });
  for (let round = 0; round < 2; round += 1) {
    for (const exchange of exchanges(25)) sender.write(elasticItem(exchange));
  }
  assert.deepEqual(await finish(), []);
  assert.equal(receiver.documents.size, 25);
  assert.equal(sender.stats.delivered, 50);
  const document = [...receiver.documents.values()][0] as { http: { request: { method: string } } };
  assert.equal(document.http.request.method, 'GET');
});

test('HalvesWithoutANumberAreNotTakenForOne', async () => {
  const receiver = new ElasticReceiver();
  const { sender, finish } = await setup(receiver, toElastic);
  const { exchange: _number, ...stray } = response(0);
  for (const exchange of pair([stray, stray])) sender.write(elasticItem(exchange));
  await finish();
  assert.equal(receiver.documents.size, 2);
});

test('OfABulkOnlyWhatWasTooMuchIsSentAgain', async () => {
  const receiver = new ElasticReceiver();
  receiver.statuses.push(201, 429, 400, 201, 503, 201, 429);
  const { sender, finish } = await setup(receiver, toElastic);
  const items = exchanges(6).map(elasticItem);
  for (const item of items) sender.write(item);
  const letters = await finish();
  assert.deepEqual(
    receiver.taken.map(({ text }) => (text.split('\n').length - 1) / 2),
    [6, 2, 1],
  );
  assert.deepEqual(
    letters.map(({ item, reason }) => [item, reason]),
    [[JSON.parse(items[2]?.text ?? ''), 'status 400, document_parsing_exception: because of 400']],
  );
  assert.deepEqual([sender.stats.delivered, sender.stats.rejected], [5, 1]);
});

test('AnAnswerThatIsNoneOfABulkIsNoDelivery', async () => {
  for (const body of ['', '{}', '<html>', '{"errors":true,"items":[]}', '[1]', 'null']) {
    const receiver = new ElasticReceiver([{ status: 200, body }]);
    const { sender, finish } = await setup(receiver, toElastic);
    for (const exchange of exchanges(3)) sender.write(elasticItem(exchange));
    assert.equal((await finish()).length, 3, body);
    assert.deepEqual([sender.stats.delivered, sender.stats.rejected], [0, 3]);
  }
});

test('LinesForLokiAreInTheOrderOfTheirTimes', async () => {
  const receiver = new LokiReceiver();
  const { sender, finish } = await setup(receiver, toLoki);
  const times = ['12:00:03.5', '12:00:01.25', '12:00:02.000001'];
  for (const time of times) {
    const [exchange] = exchanges(1, { timestamp: `2025-02-21T${time}Z` });
    sender.write(lokiItem(exchange as Exchange));
  }
  assert.deepEqual(await finish(), []);
  assert.deepEqual(
    receiver.lines.map(([time]) => time),
    [1740139201250000000n, 1740139202000001000n, 1740139203500000000n],
  );
  assert.equal(JSON.parse(receiver.lines[0]?.[1] ?? '').url.domain, 'shop.example');
  assert.deepEqual(receiver.labels, { job: 'tcp-sniffer', service_name: 'shop' });
});

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
