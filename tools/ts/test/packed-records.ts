// Packed records to read, and what reads them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Message, type MessageFields } from '../src/index.js';
import { PackedDecoder } from '../src/packed-decoder.js';
import { oddMessages, pop3Messages, request } from './samples.js';
import { packageDir } from './support.js';

export const limit = 100_000;

interface Writer {
  recordOf(fields: MessageFields, change?: (record: Buffer) => void): Buffer;
  selectedRecordOf(
    fields: MessageFields,
    names: string,
    shown: number,
    change?: (record: Buffer) => void,
  ): Buffer;
  exchangeRecordOf(
    about: Partial<MessageFields> & { totalMs?: number; orphan?: string },
    messages: Buffer[],
    change?: (record: Buffer) => void,
  ): Buffer;
}

const { exchangeRecordOf, recordOf, selectedRecordOf } = (await import(
  pathToFileURL(join(packageDir, 'test/packed-writer.mjs')).href
)) as Writer;
export { exchangeRecordOf, recordOf };

/** What the writer of the tests can say. */
export const samples: MessageFields[] = [...oddMessages, ...pop3Messages].map(
  ({ missingBytes: _m, bodyTruncated: _t, ...fields }) => fields as MessageFields,
);

export function noMalformed(bytes: Buffer, reason: string): never {
  assert.fail(`malformed: ${reason}: ${bytes}`);
}

export function drain(decoder: PackedDecoder): Message[] {
  const out: Message[] = [];
  for (let message = decoder.next(); message !== null; message = decoder.next()) out.push(message);
  return out;
}

/** What a message with these fields says. */
export function plain(fields: MessageFields): MessageFields {
  return Message.from(fields).toJSON();
}

export function ownMemory(bytes: Buffer): Buffer {
  return Buffer.from(Uint8Array.from(bytes).buffer);
}

export function messageOf(fields: MessageFields, change?: (record: Buffer) => void): Message {
  const decoder = new PackedDecoder(limit, noMalformed);
  decoder.push(recordOf(fields, change));
  const [message] = drain(decoder);
  assert.ok(message !== undefined);
  return message;
}

/** A small generator, so that a failure comes again. */
export function* numbersFrom(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

const shownPath = 128;
const shownBodySize = 2048;

export function selected(change?: (record: Buffer) => void): Buffer {
  return selectedRecordOf(request(0), 'path,bodySize,host', shownPath + shownBodySize, change);
}
