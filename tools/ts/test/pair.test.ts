import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type Exchange,
  type HttpPartFields,
  Message,
  Pairer,
  pair,
  pairStream,
} from '../src/index.js';
import { request, response } from './samples.js';
import { fakeSniffer } from './support.js';

/** `2` answered, `2r` a request alone, `2a` a response alone. */
function short({ exchange, orphan }: Exchange): string {
  return `${exchange}${orphan === undefined ? '' : orphan === 'request' ? 'r' : 'a'}`;
}

test('ARequestMeetsItsResponse', () => {
  const [exchange, ...more] = pair([request(0), response(0)]);
  assert.deepEqual(more, []);
  assert.equal(exchange?.request?.path, '/page/0?q=a%20b&r=');
  assert.equal(exchange?.response?.statusCode, 200);
  assert.equal(exchange?.orphan, undefined);
});

test('PipelinedRequestsMeetTheirOwnResponses', () => {
  const messages = [request(0), request(1), request(2), response(0), response(1), response(2)];
  assert.deepEqual(pair(messages).map(short), ['0', '1', '2']);
});

test('VeryManyRequestsOfAConnectionCostTheirNumberAndNotItsSquare', () => {
  const count = 60_000;
  // Each response would look at all requests that wait: 10^9.
  const begin = process.cpuUsage().user;
  const numbers = Array.from({ length: count }, (_, i) => i);
  const exchanges = pair(
    [...numbers.map((i) => request(i)), ...numbers.map((i) => response(i))].map((fields, i) => ({
      ...fields,
      connectionId: 'one',
      exchange: i % count,
    })),
    { pendingMax: count },
  );
  assert.ok(exchanges.every(({ exchange, orphan }, i) => exchange === i && orphan === undefined));
  assert.ok(process.cpuUsage().user - begin < 6e6);
});

test('RequestsInAnyOrderMeetTheirResponses', () => {
  const messages = [request(2), request(0), request(1), response(1), response(2)];
  assert.deepEqual(pair(messages).map(short), ['0r', '1', '2']);
});

test('ALimitThatIsNoneEnds', () => {
  const pairer = new Pairer({ pendingBytesMax: -1 });
  assert.equal(pairer.add(Message.from(request(0))).length, 1);
});

test('InterimResponsesBelongToTheirExchange', () => {
  const messages = [
    request(0),
    response(0, { statusCode: 100 }),
    response(0, { statusCode: 103 }),
    response(0),
  ];
  const [exchange] = pair(messages);
  assert.deepEqual(
    exchange?.interim.map(({ statusCode }) => statusCode),
    [100, 103],
  );
  assert.equal(exchange?.response?.statusCode, 200);
});

test('OfAMessageInPartsTheFirstIsPaired', () => {
  const { httpVersion: _version, headers: _headers, statusCode: _code, ...rest } = response(0);
  const { statusText: _text, latencyMs: _latency, ...withoutHead } = rest;
  const later = [2, 3].map(
    (part): HttpPartFields => ({
      ...withoutHead,
      method: undefined,
      path: undefined,
      rawHeaders: undefined,
      part,
    }),
  );
  const parts = [response(0, { part: 1 }), ...later];
  const [exchange, ...more] = pair([request(0), ...parts, request(1), response(1)]);
  assert.equal(exchange?.response?.part, 1);
  assert.deepEqual(more.map(short), ['1']);
});

test('SwitchingProtocolsIsAFinalResponse', () => {
  assert.deepEqual(pair([request(0), response(0, { statusCode: 101 })]).map(short), ['0']);
});

test('OrphansAreReported', () => {
  const { exchange: _none, latencyMs: _unknown, ...strayResponse } = response(0);
  const messages = [request(0), request(1), strayResponse, response(1), response(5), request(2)];
  assert.deepEqual(pair(messages).map(short), ['undefineda', '0r', '1', '5a', '2r']);
});

test('ConnectionsDoNotMix', () => {
  const other = { connectionId: '00000000000000bb' };
  const messages = [request(0), request(0, other), response(0, other)];
  const exchanges = pair(messages);
  assert.deepEqual(exchanges.map(short), ['0', '0r']);
  assert.equal(exchanges[0]?.connectionId, other.connectionId);
});

test('WaitingRequestsAreBounded', () => {
  const pairer = new Pairer<Message>({ pendingMax: 10 });
  const orphans: string[] = [];
  for (let i = 0; i < 100; i += 1) {
    const connectionId = i.toString(16).padStart(16, '0');
    const message = Message.from(request(0, { connectionId }));
    orphans.push(...pairer.add(message).map((exchange) => exchange.connectionId));
    assert.ok(pairer.pending <= 10);
  }
  assert.equal(orphans.length, 90);
  assert.equal(orphans[0], '0000000000000000');
  assert.equal(pairer.flush().length, 10);
  assert.equal(pairer.pending, 0);
});

test('WhatWaitsIsBoundedInMemory', () => {
  const pairer = new Pairer<Message>({ pendingBytesMax: 1_000_000 });
  const orphans: Exchange[] = [];
  for (let i = 0; i < 100; i += 1) {
    const connectionId = i.toString(16).padStart(16, '0');
    orphans.push(
      ...pairer.add(Message.from(request(0, { connectionId, body: 'x'.repeat(50_000) }))),
    );
    assert.ok(pairer.pendingBytes <= 1_000_000);
  }
  assert.ok(orphans.length > 85 && orphans.length < 100);
  for (const { orphanCause } of orphans) assert.equal(orphanCause, 'limit');
  assert.equal(orphans.length + pairer.flush().length, 100);
  assert.equal(pairer.pendingBytes, 0);
});

test('InterimResponsesAreBoundedAndCounted', () => {
  const pairer = new Pairer<Message>({ interimMax: 3 });
  pairer.add(Message.from(request(0)));
  for (let i = 0; i < 9; i += 1) {
    pairer.add(Message.from(response(0, { statusCode: 102 + i })));
  }
  const [exchange] = pairer.add(Message.from(response(0)));
  assert.deepEqual(
    exchange?.interim.map(({ statusCode }) => statusCode),
    [102, 103, 104],
  );
  assert.equal(exchange?.interimLeftOut, 6);
  assert.equal(exchange?.orphanCause, undefined);
  assert.equal(pairer.interimLeftOut, 6);
  assert.equal(pairer.pendingBytes, 0);
});

test('ARequestWhoseNumberComesAgainIsGivenOut', () => {
  const messages = [request(0, { path: '/old' }), request(0, { path: '/new' }), response(0)];
  const exchanges = pair(messages);
  assert.deepEqual(exchanges.map(short), ['0r', '0']);
  assert.deepEqual(
    exchanges.map(({ request: q }) => q?.path),
    ['/old', '/new'],
  );
  const unanswered = [request(0), request(0), request(1), response(1)];
  assert.deepEqual(pair(unanswered).map(short), ['0r', '0r', '1']);
});

test('EveryMessageIsInOneExchange', () => {
  // Loss of any subset of six messages: what is left comes out once.
  const all = [request(0), request(1), response(0), request(2), response(1), response(2)];
  for (let mask = 0; mask < 64; mask += 1) {
    const messages = all.filter((_, i) => mask & (1 << i));
    const exchanges = pair(messages);
    const out = exchanges.flatMap(({ request: q, response: a }) => [q, a]).filter(Boolean);
    assert.deepEqual(new Set(out), new Set(messages));
    assert.equal(out.length, messages.length);
    for (const { request: q, response: a, orphan } of exchanges) {
      assert.equal(orphan, q && a ? undefined : q ? 'request' : 'response');
      if (q && a) assert.equal(q.exchange, a.exchange);
    }
  }
});

test('ASnifferCanBePairedAsItRuns', async () => {
  let count = 0;
  for await (const exchange of pairStream(fakeSniffer({ exchanges: 500, connections: 3 }))) {
    assert.equal(exchange.orphan, undefined);
    assert.ok(exchange.request?.path?.startsWith('/'));
    count += 1;
  }
  assert.equal(count, 500);
});
