// OTLP, Elasticsearch's bulk and Loki, against receivers that enforce their rules.
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { type Exchange, pair } from '../src/index.js';
import { RequestDurations } from '../src/mappings/otel-metrics.js';
import { elasticItem } from '../src/send/elastic.js';
import { endpointOf } from '../src/send/endpoint.js';
import { lokiItem } from '../src/send/loki.js';
import { otlpItem, otlpMetricsItem, otlpMetricsProtocol } from '../src/send/otlp.js';
import { ElasticReceiver, LokiReceiver, OtlpReceiver } from './receivers.js';
import { request, response } from './samples.js';
import { exchanges, setup, toElastic, toLoki, toTraces } from './senders.js';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (error) => unhandled.push(error));
after(() => assert.deepEqual(unhandled, []));

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

test('ARequestThatIsTooLargeIsSentInHalvesHoweverTheReceiverSaysIt', async () => {
  const spans = new OtlpReceiver();
  const documents = new ElasticReceiver();
  const lines = new LokiReceiver();
  const given = exchanges(20);
  const cases = [
    { receiver: spans, protocolOf: toTraces, itemOf: (one: Exchange) => otlpItem(one, {}) },
    { receiver: documents, protocolOf: toElastic, itemOf: elasticItem },
    { receiver: lines, protocolOf: toLoki, itemOf: lokiItem },
  ];
  for (const { receiver, protocolOf, itemOf } of cases) {
    receiver.bytesMax = 8000;
    const { sender, finish } = await setup(receiver, protocolOf);
    for (const exchange of given) sender.write(itemOf(exchange));
    assert.deepEqual(await finish(), []);
    assert.equal(sender.stats.delivered, given.length);
  }
  const arrived = [spans.spans.length, documents.documents.size, lines.lines.length];
  assert.deepEqual(arrived, [given.length, given.length, given.length]);
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
    [[JSON.parse(items[2]?.text ?? ''), 'status 400, document_parsing_exception: because of 400.']],
  );
  assert.deepEqual([sender.stats.delivered, sender.stats.rejected], [5, 1]);
});

test('WhyDocumentsWereTooMuchIsSaidWhenTheyAreGivenUp', async () => {
  const receiver = new ElasticReceiver();
  receiver.statuses.push(...Array<number>(1000).fill(429));
  const { sender, finish, logger } = await setup(receiver, toElastic, { giveUpMs: 20 });
  for (const exchange of exchanges(3)) sender.write(elasticItem(exchange));
  assert.equal((await finish()).length, 3);
  const reason = 'status 429, es_rejected_execution_exception: because of 429';
  assert.match(
    logger.errors[0] ?? '',
    new RegExp(`3 not delivered: given up after .*: ${reason}$`),
  );
});

test('WhatAReceiverSaysCannotWriteToATerminal', async () => {
  const items = Array.from({ length: 2 }, () => ({
    create: { status: 400, error: { type: 'x', reason: 'no \u001b[2J\n\u009b1m' } },
  }));
  const documents = new ElasticReceiver([
    { status: 200, body: JSON.stringify({ errors: true, items }) },
  ]);
  const bulk = await setup(documents, toElastic);
  for (const exchange of exchanges(2)) bulk.sender.write(elasticItem(exchange));
  await bulk.finish();
  const spans = new OtlpReceiver(
    [0, 1].map((rejectedSpans) => ({
      status: 200,
      body: JSON.stringify({ partialSuccess: { rejectedSpans, errorMessage: '\u001b[2J' } }),
    })),
  );
  const traces = await setup(spans, toTraces, { batchItems: 1 });
  for (const exchange of exchanges(2)) traces.sender.write(otlpItem(exchange, {}));
  await traces.finish();
  const said = [...bulk.logger.errors, ...traces.logger.errors, ...traces.logger.warnings];
  assert.equal(said.length, 3);
  for (const text of said) assert.doesNotMatch(text, /\p{Cc}/u);
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
  const times = [
    '2025-02-21T12:00:03.5Z',
    '2025-02-21T12:00:01.25Z',
    '2025-02-21T12:00:02.000001Z',
    '1970-01-01T00:00:05Z',
    '2001-09-09T01:46:39.999999Z',
  ];
  for (const timestamp of times) {
    const [exchange] = exchanges(1, { timestamp });
    sender.write(lokiItem(exchange as Exchange));
  }
  assert.deepEqual(await finish(), []);
  assert.deepEqual(
    receiver.lines.map(([time]) => time),
    [
      5000000000n,
      999999999999999000n,
      1740139201250000000n,
      1740139202000001000n,
      1740139203500000000n,
    ],
  );
  assert.equal(JSON.parse(receiver.lines[0]?.[1] ?? '').url.domain, 'shop.example');
  assert.deepEqual(receiver.labels, { job: 'tcp-sniffer', service_name: 'shop' });
});
