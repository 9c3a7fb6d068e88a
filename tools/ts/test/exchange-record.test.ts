import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import {
  createSniffer,
  type Exchange,
  type ExchangeFields,
  ExchangeRecord,
  exchangeOfFields,
  type SnifferConfig,
} from '../src/index.js';
import { fakeSniffer, pcapsDir, realEngine } from './support.js';

const formats = ['packed', 'ndjson', 'framed'] as const;

test('EveryExchangeComesOnceToEveryTaker', async () => {
  for (const format of formats) {
    const paths: (string | undefined)[][] = [[], [], []];
    const stream = new PassThrough();
    let text = '';
    stream.on('data', (piece) => {
      text += piece;
    });
    const sniffer = fakeSniffer(
      { exchanges: 300, connections: 3 },
      {
        records: 'exchange',
        format,
        outputStdout: stream,
        onExchange: ({ request }) => paths[0]?.push(request?.path),
      },
    );
    sniffer.on('exchange', ({ request }) => paths[1]?.push(request?.path));
    for await (const { request, response, orphan } of sniffer.exchanges()) {
      assert.equal(orphan, undefined);
      assert.equal(response?.body, 'x'.repeat(16));
      assert.equal(response?.latencyMs, 1.5);
      assert.equal(response?.bodyBuffer.length, 16);
      paths[2]?.push(request?.path);
    }
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line): ExchangeFields => JSON.parse(line));
    paths.push(lines.map(({ request }) => request?.path));
    for (const line of lines) assert.equal(line.response?.body, 'x'.repeat(16));
    for (const one of paths) assert.equal(new Set(one).size, 300);
    for (const one of paths) assert.deepEqual(one, paths[0]);
    assert.equal(sniffer.stats().messages, 300);
  }
});

test('ExchangesOfMessagesArePairs', async () => {
  let count = 0;
  for await (const { request, response } of fakeSniffer({ exchanges: 50 }).exchanges()) {
    assert.equal(request?.exchange, response?.exchange);
    count += 1;
  }
  assert.equal(count, 50);
});

test('ALoopForMessagesSaysWhichLoopTakesExchanges', async () => {
  const sniffer = fakeSniffer({}, { records: 'exchange' });
  await assert.rejects(
    async () => {
      for await (const _message of sniffer);
    },
    { code: 'INVALID_STATE', message: /sniffer\.exchanges\(\)/ },
  );
});

test('ExchangesArePosted', async () => {
  const received: ExchangeFields[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => {
      body += piece;
    });
    request.on('end', () => {
      received.push(
        ...body
          .trimEnd()
          .split('\n')
          .map((line): ExchangeFields => JSON.parse(line)),
      );
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const sniffer = fakeSniffer(
    { exchanges: 25 },
    { records: 'exchange', format: 'framed', outputUrl: { url, batchMessages: 10 } },
  );
  await sniffer.start();
  await sniffer.finished();
  server.close();
  assert.equal(received.length, 25);
  for (const { response } of received) assert.equal(response?.body, 'x'.repeat(16));
});

const line = {
  timestamp: '2025-02-21T12:00:00.000000Z',
  connectionId: '00000000000000aa',
  exchange: 0,
  receiver: { ip: '192.0.2.1', port: 80 },
  destination: { ip: '198.51.100.7', port: 40000 },
  orphan: 'noResponse',
  orphanCause: 'closed',
  request: {
    method: 'GET',
    path: '/',
    httpVersion: '1.1',
    headers: { host: 'a', ['__proto__']: 'b' },
    bodySize: 0,
    durationMs: 0,
  },
};

test('AnOrphanSaysWhatTheEngineSaid', () => {
  const json = JSON.stringify(line).replace('"host":"a"', '"host":"a","constructor":"c"');
  const record = new ExchangeRecord(Buffer.from(json));
  assert.equal(record.orphan, 'request');
  assert.equal(record.orphanReason, 'noResponse');
  assert.equal(record.orphanCause, 'closed');
  assert.equal(record.request?.headers.constructor, 'c');
  assert.equal(record.request?.direction, 'request');
  assert.equal(record.response, undefined);
  const plain = exchangeOfFields(record.toJSON());
  assert.equal(plain.orphanReason, 'noResponse');
  assert.deepEqual(plain.request, record.request?.toJSON());
});

test('WhatIsNoExchangeThrowsWhenItIsRead', () => {
  const bad: [string, Buffer?][] = [
    ['{}'],
    ['5'],
    ['null'],
    ['{"connectionId":"a"}'],
    ['{"connectionId":"a","request":5}'],
    ['{"connectionId":"a","interim":5,"request":{}}'],
    ['{"connectionId":"a","interim":[null]}'],
    ['{"connectionId":"a","request":{"bodyBytes":5}}', Buffer.alloc(4)],
    ['{"connectionId":"a","request":{"bodyBytes":-1}}', Buffer.alloc(4)],
    ['{"connectionId":"a","request":{"bodyBytes":"4"}}', Buffer.alloc(4)],
    ['{"connectionId":"a","request":'],
  ];
  for (const [json, bodies] of bad) {
    const record = new ExchangeRecord(Buffer.from(json), bodies);
    assert.throws(() => record.parse(), /SyntaxError|TypeError/, json);
  }
});

test('MalformedExchangesAreReportedAndLeftOut', async () => {
  for (const nonsense of ['nothing', '{"braces": but no JSON}', '{"connectionId":"a"}']) {
    const plan = { exchanges: 50, nonsenseAfter: 20, nonsense };
    const sniffer = fakeSniffer(plan, { records: 'exchange', format: 'ndjson' });
    let count = 0;
    for await (const _exchange of sniffer.exchanges()) count += 1;
    assert.equal(count, 50);
    assert.equal(sniffer.stats().malformed, 1);
  }
});

const options = { skip: realEngine === undefined && 'no engine' };

async function exchangesOf(config: SnifferConfig): Promise<Map<string, Exchange>> {
  const out = new Map<string, Exchange>();
  for await (const one of createSniffer(config).exchanges()) {
    const { connectionId, exchange, orphan, request, interim, response } = one;
    const key = `${connectionId}/${exchange}/${(request ?? response)?.timestamp}`;
    out.set(key, {
      connectionId,
      exchange,
      orphan,
      request: request?.toJSON(),
      interim: interim.map((message) => message.toJSON()),
      response: response?.toJSON(),
    });
  }
  return out;
}

test('TheEnginesExchangesHaveTheMessagesOfItsLines', options, async () => {
  const captures = existsSync(pcapsDir)
    ? readdirSync(pcapsDir).filter((name) => /\.pcap(ng)?$/.test(name))
    : [];
  let both = 0;
  for (const name of captures) {
    const config: SnifferConfig = {
      files: [join(pcapsDir, name)],
      shards: 0,
      binaryBody: 'base64',
      fields: 'extended',
    };
    const pairs = await exchangesOf(config);
    for (const format of formats) {
      const records = await exchangesOf({ ...config, format, records: 'exchange' });
      assert.deepEqual(new Set(records.keys()), new Set(pairs.keys()), name);
      for (const [key, record] of records) {
        assert.deepEqual(record, pairs.get(key), `${name} ${key}`);
        if (record.orphan === undefined) both += 1;
      }
    }
  }
  assert.ok(both > 200);
});
