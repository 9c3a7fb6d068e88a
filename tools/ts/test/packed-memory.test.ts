// The memory in which packed records lie: where it begins, and what else may stand at odd places.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Message, MessageFields } from '../src/index.js';
import { PackedDecoder } from '../src/packed-decoder.js';
import { memoryOf } from '../src/packed-memory.js';
import { request, response } from './samples.js';
import { packageDir } from './support.js';

const { recordOf } = (await import(
  pathToFileURL(join(packageDir, 'test/packed-writer.mjs')).href
)) as { recordOf(fields: MessageFields): Buffer };

function messagesOf(bytes: Buffer, onMalformed: (bytes: Buffer, reason: string) => void) {
  const decoder = new PackedDecoder(100_000, onMalformed);
  decoder.push(bytes);
  const out: Message[] = [];
  for (let message = decoder.next(); message !== null; message = decoder.next()) out.push(message);
  return out;
}

/** The record with its list of headers at a place that is no multiple of 4. */
function withOddList(fields: MessageFields): Buffer {
  const record = recordOf(fields);
  const list = record.readUInt32LE(128);
  const entries = record.subarray(list, list + 16 * record.readUInt32LE(132));
  const moved = Buffer.concat([record, Buffer.alloc(2), entries, Buffer.alloc(6)]);
  moved.writeUInt32LE(moved.length, 0);
  moved.writeUInt32LE(record.length + 2, 128);
  return moved;
}

test('WordsAreTheSameNumbersOnEveryHost', () => {
  const { bytes, view, words } = memoryOf(recordOf(request(0)));
  assert.deepEqual(memoryOf(bytes, false).words, words);
  assert.equal(words.length, bytes.length / 4);
  words.forEach((word, n) => {
    assert.equal(word, view.getUint32(4 * n, true));
  });
});

test('MemoryIsCopiedOnlyWhereItIsNotAligned', () => {
  const record = recordOf(request(0));
  const shared = Buffer.alloc(record.length + 8);
  for (let begin = 0; begin < 8; begin += 1) {
    const there = shared.subarray(begin, begin + record.length);
    record.copy(there);
    const { bytes, view, words } = memoryOf(there);
    assert.deepEqual(bytes, record);
    assert.equal(bytes.buffer === shared.buffer, (there.byteOffset & 3) === 0, `${begin}`);
    assert.equal(words[0], view.getUint32(0, true));
  }
});

test('AListOfHeadersAtAnOddPlaceIsRead', () => {
  const fields = request(0, { headers: { host: 'a', 'x-a': ['first', 'second'] } });
  const bytes = Buffer.concat([withOddList(fields), recordOf(response(0))]);
  const [message, next] = messagesOf(bytes, (_bytes, reason) => assert.fail(reason));
  assert.deepEqual(message?.headers, recordHeaders(fields));
  assert.equal(message?.header('X-A'), 'first');
  assert.equal(message?.header('x-b'), undefined);
  assert.equal(next?.statusCode, 200);
});

test('AListAtAnOddPlaceThatLiesIsMalformed', () => {
  for (const entry of [0, 4, 8, 12]) {
    const wrong = withOddList(request(0));
    wrong.writeUInt32LE(0x3fffffff, wrong.readUInt32LE(128) + entry);
    const faults: string[] = [];
    const bytes = Buffer.concat([wrong, recordOf(response(0))]);
    const read = messagesOf(bytes, (_bytes, reason) => faults.push(reason));
    assert.deepEqual(faults, ['a header beyond its record'], `${entry}`);
    assert.deepEqual(
      read.map(({ statusCode }) => statusCode),
      [200],
    );
  }
});

function recordHeaders(fields: MessageFields) {
  const [message] = messagesOf(recordOf(fields), (_bytes, reason) => assert.fail(reason));
  return message?.headers;
}
