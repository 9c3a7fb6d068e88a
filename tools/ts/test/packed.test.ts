// Packed records: what is read of them, wherever reads are cut, and what is no record.
import assert from 'node:assert/strict';
import test from 'node:test';
import { SnifferError } from '../src/errors.js';
import { headerOf, headerValues, Message, type MessageFields } from '../src/index.js';
import { messagesOfRecords, PackedDecoder } from '../src/packed-decoder.js';
import {
  drain,
  limit,
  messageOf,
  noMalformed,
  numbersFrom,
  ownMemory,
  plain,
  recordOf,
  samples,
  selected,
} from './packed-records.js';
import { request, response } from './samples.js';

test('AMessageSaysWhatItsLineSays', () => {
  for (const fields of samples) {
    const message = messageOf(fields);
    const line = Message.from(fields);
    assert.deepEqual(message.toJSON(), line.toJSON());
    for (const name of Object.keys(fields) as (keyof MessageFields)[]) {
      assert.deepEqual(message[name], line[name], name);
    }
    assert.deepEqual(JSON.parse(message.raw.toString()), JSON.parse(line.raw.toString()));
    assert.deepEqual(message.bodyBuffer, line.bodyBuffer);
  }
});

test('AHeaderIsFoundInAnyCaseAndWithoutTheOthers', () => {
  const headers = { host: 'a', 'x-a': 'first', 'x-b': '', 'set-cookie': ['a=1', 'b=2'] };
  const message = messageOf(request(0, { headers: { ...headers } }));
  for (const form of [message, Message.from(message.toJSON())]) {
    assert.equal(form.header('host'), 'a');
    assert.equal(form.header('HOST'), 'a');
    assert.equal(form.header('X-b'), '');
    assert.equal(form.header('set-cookie'), 'a=1');
    assert.equal(form.header('x-'), undefined);
    assert.equal(form.header('constructor'), undefined);
    assert.equal(headerOf(form, 'x-a'), 'first');
    assert.deepEqual(headerValues(form, 'set-cookie'), ['a=1', 'b=2']);
  }
  const wide = messageOf(request(0, { headers: { host: 'ü', 'x-ü': 'é' } }));
  assert.equal(wide.header('Host'), 'ü');
  assert.equal(wide.header('x-ü'), 'é');
  assert.equal(wide.header('x-Ü'), undefined);
});

test('HeadersOfARecordAreHeadersWhateverTheyAreCalled', () => {
  const json = '{"__proto__":"p","constructor":"c"}';
  const message = messageOf(request(0, { headers: JSON.parse(json) }));
  assert.equal(Object.getPrototypeOf(message.headers), null);
  assert.equal(JSON.stringify(message.headers), json);
  assert.equal(message.header('__proto__'), 'p');
});

test('RecordsComeOutWholeWhereverTheReadsAreCut', () => {
  const few = [request(0), response(0), request(1, { headers: {}, path: '/', body: 'abcdefghi' })];
  const bytes = Buffer.concat(few.map((fields) => recordOf(fields)));
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 37) {
      for (const inPlace of [true, false]) {
        const decoder = new PackedDecoder(limit, noMalformed);
        const out: MessageFields[] = [];
        let begin = 0;
        for (const end of [first, second, bytes.length]) {
          const piece = bytes.subarray(begin, end);
          decoder.push(inPlace ? piece : ownMemory(piece));
          out.push(...drain(decoder).map((message) => message.toJSON()));
          begin = end;
        }
        decoder.end();
        assert.deepEqual(out, few.map(plain), `cut at ${first} and ${second}`);
      }
    }
  }
});

test('BlocksOfRecordsHoldTheSameMessages', () => {
  const bytes = Buffer.concat(samples.map((fields) => recordOf(fields)));
  for (const pieceSize of [1, 7, 100, 333, 5000, 1_000_000]) {
    for (const inPlace of [true, false]) {
      const decoder = new PackedDecoder(limit, noMalformed);
      const out: MessageFields[] = [];
      for (let begin = 0; begin < bytes.length; begin += pieceSize) {
        const piece = bytes.subarray(begin, begin + pieceSize);
        decoder.push(inPlace ? piece : ownMemory(piece));
        for (let one = decoder.nextBlock(); one !== null; one = decoder.nextBlock()) {
          for (const message of messagesOfRecords(one, noMalformed)) out.push(message.toJSON());
        }
      }
      decoder.end();
      assert.deepEqual(out, samples.map(plain));
    }
  }
});

test('ARecordInsideOneReadIsNotCopied', () => {
  const bytes = recordOf(response(0));
  const decoder = new PackedDecoder(limit, noMalformed);
  decoder.push(bytes);
  assert.equal(drain(decoder)[0]?.bodyBuffer.buffer, bytes.buffer);
});

test('AReusedMessageMovesOnAndADetachedOneStays', () => {
  const decoder = new PackedDecoder(limit, noMalformed, true);
  const slab = Buffer.alloc(1_048_576);
  const size = recordOf(request(0)).copy(slab);
  recordOf(response(0)).copy(slab, size);
  decoder.push(slab.subarray(0, size + recordOf(response(0)).length));
  const first = decoder.next();
  assert.equal(first?.headers.host, 'shop.example:8080');
  const kept = first?.detach();
  const second = decoder.next();
  assert.equal(first, second);
  assert.equal(second?.statusCode, 200);
  assert.equal(second?.header('host'), undefined);
  assert.deepEqual(Object.keys(second?.headers ?? {}), ['content-type', 'set-cookie']);
  assert.deepEqual(kept?.toJSON(), plain(request(0)));
  assert.notEqual(kept?.bodyBuffer.buffer, slab.buffer);
  assert.equal(decoder.next(), null);
});

test('AReaderOfTodayReadsTheRecordsOfTomorrow', () => {
  const fields = request(0);
  const now = recordOf(fields);
  // A longer fixed part, a part with a tag that is not known, and flags and words that are not known.
  const begin = now.readUInt32LE(128) + 16 * now.readUInt32LE(132);
  const later = Buffer.concat([now, Buffer.alloc(32)]);
  later.writeUInt32LE(later.length, 0);
  later.writeUInt32LE(now.length, 136);
  later.writeUInt32LE(1, 140);
  later.writeUInt32LE(999, now.length);
  later.writeUInt32LE(begin, now.length + 4);
  later.writeUInt32LE(0x80000000 + later.readUInt32LE(16), 16);
  later.writeUInt8(200, 15);
  later.writeUInt32LE(0x80000001, 20);
  const kind = Buffer.from(now);
  kind.writeUInt8(77, 7);
  const decoder = new PackedDecoder(limit, noMalformed);
  decoder.push(Buffer.concat([kind, later, kind, now]));
  const [first, second, ...rest] = drain(decoder);
  assert.deepEqual(first?.toJSON(), { ...plain(fields), anomalies: ['leadingBlanks'] });
  assert.deepEqual(second?.toJSON(), plain(fields));
  assert.equal(rest.length, 0);
});

test('WhatCanBeNoRecordIsCorruptOutput', () => {
  const record = recordOf(request(0));
  const changes: [string, (record: Buffer) => void][] = [
    ['no packed record', (bytes) => bytes.write('XX', 4)],
    ['of version 2; this package reads version 1', (bytes) => bytes.writeUInt8(2, 6)],
    ['of 4294967288 bytes', (bytes) => bytes.writeUInt32LE(0xfffffff8, 0)],
    ['of 0 bytes', (bytes) => bytes.writeUInt32LE(0, 0)],
    ['of 153 bytes', (bytes) => bytes.writeUInt32LE(153, 0)],
  ];
  for (const [reason, change] of changes) {
    for (const carried of [false, true]) {
      const wrong = Buffer.from(record);
      change(wrong);
      const decoder = new PackedDecoder(limit, noMalformed);
      const isCorrupt = (error: unknown): boolean =>
        error instanceof SnifferError &&
        error.code === 'OUTPUT_CORRUPT' &&
        error.message.includes(reason);
      const read = (): void => {
        for (const piece of carried ? [wrong.subarray(0, 3), wrong.subarray(3)] : [wrong]) {
          decoder.push(ownMemory(piece));
          drain(decoder);
        }
      };
      assert.throws(read, isCorrupt, reason);
      assert.ok(decoder.pendingBytes <= record.length);
    }
  }
});

test('APlaceBeyondItsRecordIsMalformedAndTheNextIsRead', () => {
  const placeOffsets = [112, 116, 120, 124, 128, 132, 136, 140, 144, 148, 152, 156, 160, 164];
  for (const offset of placeOffsets) {
    for (const lie of [0xffffffff, 0x3fffffff, 0x10000000, 100_000]) {
      const faults: string[] = [];
      const decoder = new PackedDecoder(limit, (_bytes, reason) => faults.push(reason));
      const wrong = recordOf(request(0), (bytes) => {
        bytes.writeUInt32LE(lie, offset);
        // An empty list may stand anywhere, and so may no body.
        if (offset === 136) bytes.writeUInt32LE(1, 140);
      });
      decoder.push(Buffer.concat([wrong, recordOf(response(0))]));
      const read = drain(decoder);
      assert.equal(read.length, 1, `${offset}: ${lie}`);
      assert.equal(read[0]?.statusCode, 200);
      assert.match(faults.join(), /beyond its record$/, `${offset}: ${lie}`);
    }
  }
  for (const size of [8, 16, 144]) {
    const faults: string[] = [];
    const decoder = new PackedDecoder(limit, (_bytes, reason) => faults.push(reason));
    const short = recordOf(request(0)).subarray(0, size);
    short.writeUInt32LE(size, 0);
    decoder.push(Buffer.concat([short, recordOf(response(0))]));
    assert.equal(drain(decoder).length, 1);
    assert.deepEqual(faults, ['a record without its fixed part']);
  }
});

test('ARecordCutAtAnyByteIsReportedAndNothingIsMadeUp', () => {
  const whole = recordOf(request(0));
  const bytes = Buffer.concat([whole, recordOf(response(0))]);
  for (let size = whole.length + 1; size < bytes.length; size += 1) {
    const faults: string[] = [];
    const decoder = new PackedDecoder(limit, (_bytes, reason) => faults.push(reason));
    decoder.push(bytes.subarray(0, size));
    assert.equal(drain(decoder).length, 1);
    decoder.end();
    assert.deepEqual(faults, ['cut at the end']);
    assert.equal(decoder.pendingBytes, 0);
  }
});

test('RandomBytesInARecordHarmNothing', () => {
  const records = [...samples.map((fields) => recordOf(fields)), selected()];
  const bytes = Buffer.concat(records);
  const sizes = records.map(({ length }) => length);
  const random = numbersFrom(7);
  const below = (most: number): number => Math.floor((random.next().value as number) / 7) % most;
  for (let round = 0; round < 3000; round += 1) {
    const changed = ownMemory(bytes);
    let begin = 0;
    for (const size of sizes) {
      // Not its size, mark, version and kind, which are what is corrupt.
      for (let i = below(4); i > 0; i -= 1) {
        changed.writeUInt8(below(256), begin + 8 + below(size - 8));
      }
      begin += size;
    }
    let malformed = 0;
    const decoder = new PackedDecoder(limit, () => {
      malformed += 1;
    });
    decoder.push(changed);
    const read = drain(decoder);
    assert.equal(read.length + malformed, records.length);
    for (const message of read) {
      message.toLine();
      message.header('host');
      assert.ok(message.bodyBuffer.length <= message.byteLength);
    }
  }
});

test('AMessageOfSelectedFieldsHasNoOthers', () => {
  for (const reuse of [false, true]) {
    const decoder = new PackedDecoder(limit, noMalformed, reuse);
    decoder.push(Buffer.concat([selected(), recordOf(response(0)), selected()]));
    const first = decoder.next();
    const { path, headers } = request(0);
    const wanted = { path, bodySize: 0, host: headers.host };
    assert.deepEqual(first?.toJSON(), wanted);
    assert.equal(first?.path, path);
    assert.equal(first?.bodySize, 0);
    for (const name of ['timestamp', 'connectionId', 'receiver', 'method', 'durationMs', 'body']) {
      assert.equal((first as unknown as Record<string, unknown>)[name], undefined, name);
    }
    const kept = first?.detach();
    // Whole messages may stand beside them: `select` can change while the engine runs.
    assert.deepEqual(decoder.next()?.toJSON(), plain(response(0)));
    assert.deepEqual(decoder.next()?.toJSON(), wanted);
    assert.deepEqual(kept?.toJSON(), wanted);
  }
});

test('ASelectionThatLiesIsMalformedAndTheNextIsRead', () => {
  const lies: ((record: Buffer) => void)[] = [
    (record) => record.writeUInt16LE(152, 8),
    (record) => record.writeUInt32LE(0xffffffff, 160),
    (record) => record.writeUInt32LE(100_000, 164),
  ];
  for (const lie of lies) {
    const faults: string[] = [];
    const decoder = new PackedDecoder(limit, (_bytes, reason) => faults.push(reason));
    decoder.push(Buffer.concat([selected(lie), selected()]));
    assert.equal(drain(decoder).length, 1);
    assert.deepEqual(faults, ['a selection beyond its record']);
  }
});
