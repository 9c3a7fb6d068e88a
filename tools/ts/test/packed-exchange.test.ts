// Packed records of exchanges.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ExchangeRecord } from '../src/index.js';
import { PackedExchangeDecoder } from '../src/packed-decoder.js';
import type { PackedExchange } from '../src/packed-exchange.js';
import {
  exchangeRecordOf,
  limit,
  noMalformed,
  numbersFrom,
  ownMemory,
  plain,
  recordOf,
} from './packed-records.js';
import { request, response } from './samples.js';

function exchangeOf(change?: (record: Buffer) => void): Buffer {
  const interim = response(0, { headers: {}, statusCode: 103 });
  return exchangeRecordOf(
    { ...request(0), latencyMs: 1.5, totalMs: 2 },
    [request(0), interim, response(0)].map((fields) => recordOf(fields)),
    change,
  );
}

function drainExchanges(decoder: PackedExchangeDecoder): PackedExchange[] {
  const out: PackedExchange[] = [];
  for (let one = decoder.next(); one !== null; one = decoder.next()) out.push(one);
  return out;
}

test('AnExchangeHasItsMessages', () => {
  for (const reuse of [false, true]) {
    const decoder = new PackedExchangeDecoder(limit, noMalformed, reuse);
    // Records of messages are not what is asked for.
    decoder.push(Buffer.concat([recordOf(request(3)), exchangeOf()]));
    const one = decoder.next();
    assert.ok(one !== null);
    assert.equal(one.latencyMs, 1.5);
    assert.equal(one.totalMs, 2);
    assert.equal(one.orphan, undefined);
    assert.deepEqual(one.request?.toJSON(), plain(request(0)));
    assert.deepEqual(one.response?.toJSON(), plain(response(0)));
    assert.deepEqual(
      one.interim.map(({ statusCode }) => statusCode),
      [103],
    );
    const fields = one.toJSON();
    assert.equal(fields.interim?.length, 1);
    assert.equal(fields.response?.latencyMs, undefined);
    const fromLine = new ExchangeRecord(one.toLine());
    assert.deepEqual(fromLine.request?.toJSON(), plain(request(0)));
    assert.equal(fromLine.totalMs, 2);
    assert.equal(decoder.next(), null);
  }
});

test('AReusedExchangeMovesOnAndADetachedOneStays', () => {
  const slab = Buffer.alloc(1_048_576);
  const alone = exchangeRecordOf({ ...response(7), orphan: 'requestNotCaptured' }, [
    recordOf(response(7)),
  ]);
  const size = exchangeOf().copy(slab);
  const decoder = new PackedExchangeDecoder(limit, noMalformed, true);
  decoder.push(slab.subarray(0, size + alone.copy(slab, size)));
  const first = decoder.next();
  assert.equal(first?.request?.method, request(0).method);
  const kept = first?.detach();
  const second = decoder.next();
  assert.equal(first, second);
  assert.equal(second?.request, undefined);
  assert.deepEqual(second?.interim, []);
  assert.equal(second?.orphan, 'response');
  assert.equal(second?.orphanReason, 'requestNotCaptured');
  assert.deepEqual(second?.response?.toJSON(), plain(response(7)));
  slab.fill(0);
  assert.deepEqual(kept?.request?.toJSON(), plain(request(0)));
});

test('AnExchangeThatLiesIsMalformedAndTheNextIsRead', () => {
  const first = 152;
  const lies: [string, (record: Buffer) => void][] = [
    ['a message beyond its exchange', (record) => record.writeUInt32LE(0, first)],
    ['a message beyond its exchange', (record) => record.writeUInt32LE(4, first)],
    ['a message beyond its exchange', (record) => record.writeUInt32LE(0xfffffff8, first)],
    ['a message beyond its exchange', (record) => record.writeUInt32LE(4, 148)],
    ['a body beyond its record', (record) => record.writeUInt32LE(0xffffffff, 148)],
    ['an exchange of what is no record', (record) => record.write('XX', first + 4)],
    ['an exchange of what is no record', (record) => record.writeUInt8(9, first + 6)],
    ['an exchange without a message', (record) => record.writeUInt32LE(0, 148)],
    ['a text beyond its record', (record) => record.writeUInt32LE(0x7fffffff, first + 112)],
  ];
  for (const [reason, change] of lies) {
    const faults: string[] = [];
    const decoder = new PackedExchangeDecoder(limit, (_bytes, fault) => faults.push(fault));
    decoder.push(Buffer.concat([exchangeOf(change), exchangeOf()]));
    assert.equal(drainExchanges(decoder).length, 1, reason);
    assert.deepEqual(faults, [reason]);
  }
});

test('RandomBytesInAnExchangeHarmNothing', () => {
  const whole = exchangeOf();
  const random = numbersFrom(11);
  const below = (most: number): number => Math.floor((random.next().value as number) / 7) % most;
  for (let round = 0; round < 3000; round += 1) {
    const changed = ownMemory(whole);
    for (let i = below(4); i > 0; i -= 1) {
      changed.writeUInt8(below(256), 8 + below(changed.length - 8));
    }
    let malformed = 0;
    const decoder = new PackedExchangeDecoder(limit, () => {
      malformed += 1;
    });
    decoder.push(changed);
    const read = drainExchanges(decoder);
    assert.equal(read.length + malformed, 1);
    for (const one of read) {
      one.toLine();
      one.detach().toJSON();
    }
  }
});

test('AnExchangeCutAtAnyByteIsReported', () => {
  const bytes = exchangeOf();
  for (let size = 1; size < bytes.length; size += 1) {
    const faults: string[] = [];
    const decoder = new PackedExchangeDecoder(limit, (_bytes, fault) => faults.push(fault));
    decoder.push(bytes.subarray(0, size));
    assert.deepEqual(drainExchanges(decoder), []);
    decoder.end();
    assert.deepEqual(faults, ['cut at the end']);
  }
});
