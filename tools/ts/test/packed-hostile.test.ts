// Packed records whose places all lie in them, and which are made to cost much all the same.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PackedDecoder, PackedExchangeDecoder } from '../src/packed-decoder.js';

const size = 1_048_576;

/** A response with nothing in it. `places` are the numbers of places by where they stand. */
function recordOf(places: Record<number, number>, kind = 1): Buffer {
  const record = Buffer.alloc(size);
  record.writeUInt32LE(size, 0);
  record.write('TP\x01', 4, 'latin1');
  record.writeUInt8(kind, 7);
  record.writeUInt16LE(168, 8);
  record.writeUInt16LE(200, 10);
  record.writeUInt8(1, 12);
  record.writeUInt8(11, 14);
  for (const [offset, number] of Object.entries(places))
    record.writeUInt32LE(number, Number(offset));
  return record;
}

/** Writes entries of four numbers each. */
function fill(record: Buffer, begin: number, count: number, entry: (i: number) => number[]): void {
  for (let i = 0; i < count; i += 1) {
    for (const [j, number] of entry(i).entries())
      record.writeUInt32LE(number, begin + 16 * i + 4 * j);
  }
}

function reasonsOf(record: Buffer): string[] {
  const reasons: string[] = [];
  const decoder = new PackedDecoder(size, (_bytes, reason) => reasons.push(reason));
  decoder.push(record);
  assert.equal(decoder.next(), null);
  return reasons;
}

test('HeadersThatAllPointToTheSameBytesAreMalformed', () => {
  // 32,000 values of half a megabyte: 16 GB when they are made.
  const count = 32_000;
  const half = size / 2;
  const record = recordOf({ 128: 168, 132: count });
  fill(record, 168, count, (i) => [half + i, 8, half, half]);
  assert.deepEqual(reasonsOf(record), ['a header beyond its record']);
});

test('TrailersThatAllPointToTheSameBytesAreMalformed', () => {
  const count = 32_000;
  const half = size / 2;
  const list = 184;
  const record = recordOf({ 136: 168, 140: 1 });
  fill(record, 168, 1, () => [1, list, 16 * count, 0]);
  fill(record, list, count, () => [half, 8, half, half - 8]);
  assert.deepEqual(reasonsOf(record), ['a part beyond its record']);
});

test('HeadersWhoseLengthsSumUpBeyond32BitsAreMalformed', () => {
  const record = recordOf({ 128: 168, 132: 8192 });
  fill(record, 168, 8192, () => [0, size, 0, size]);
  assert.deepEqual(reasonsOf(record), ['a header beyond its record']);
});

test('APartMayStandInARecordOnce', () => {
  // Each of so many would be searched for its fields: 10^9 of them.
  const lists = 200;
  const fields = 60_000;
  const record = recordOf({ 136: 168, 140: lists });
  const list = 168 + 16 * lists;
  fill(record, 168, lists, () => [1, list, 16 * fields, 0]);
  assert.deepEqual(reasonsOf(record), ['a part that stands there twice']);
});

test('ARecordHasFewParts', () => {
  const record = recordOf({ 136: 168, 140: 256 });
  fill(record, 168, 256, () => [1000, 168, 0, 0]);
  assert.deepEqual(reasonsOf(record), ['more parts than a record can have']);
  record.writeUInt32LE(255, 140);
  const decoder = new PackedDecoder(size, (_bytes, reason) => assert.fail(reason));
  decoder.push(record);
  assert.equal(decoder.next()?.statusCode, 200);
});

test('ANameOfASelectionThatIsThereAgainCostsNothing', () => {
  // 32,000 times all headers, of which 32,000 are Latin-1: 10^9 names of such.
  const names = 'headers,'.repeat(32_000);
  const list = 168 + names.length;
  const count = 32_000;
  const record = recordOf({ 16: 8192, 128: list, 132: count, 160: 168, 164: names.length });
  record.write(names, 168);
  fill(record, list, count, (i) => [list + 16 * i, 4, 0, 0x4000_0000]);
  const decoder = new PackedDecoder(size, (_bytes, reason) => assert.fail(reason));
  decoder.push(record);
  const line = decoder.next()?.toJSON();
  assert.deepEqual(Object.keys(line ?? {}), ['headers']);
});

test('ADetachedMessageOfAnExchangeHasItsOwnMemory', () => {
  const exchange = recordOf({ 144: 168, 148: size - 168 }, 2);
  const inner = 168;
  for (let at = 168; at < size; at += inner) {
    const length = size - at < 2 * inner ? size - at : inner;
    exchange.copy(exchange, at, 0, inner);
    exchange.writeUInt32LE(length, at);
    exchange.writeUInt8(1, at + 7);
    exchange.writeUInt16LE(100, at + 10);
    exchange.fill(0, at + 112, at + 152);
    if (length !== inner) break;
  }
  const decoder = new PackedExchangeDecoder(size, (_bytes, reason) => assert.fail(reason));
  decoder.push(exchange);
  const interim = decoder.next()?.interim ?? [];
  assert.ok(interim.length > 6000);
  // The record of the exchange for each of them would be 6 GB.
  const kept = interim.map((message) => message.detach());
  assert.ok(kept.every(({ statusCode, byteLength }) => statusCode === 100 && byteLength < 400));
  assert.ok(process.memoryUsage().arrayBuffers < 64 * size);
});
