import { type Decoder, Input, type MalformedListener, malformedBytesShown } from './decoder.js';
import { SnifferError } from './errors.js';
import type { Message } from './message.js';
import {
  at,
  faultOf,
  messageKind,
  recordHeaderSize,
  recordMark,
  recordVersion,
} from './packed-layout.js';
import { PackedMessage } from './packed-message.js';

/** The size of the record that begins at `offset`, whose header is there. Throws OUTPUT_CORRUPT
 * when there can be none, because its end cannot be searched for. */
function sizeOf(view: DataView, offset: number, messageBytesMax: number): number {
  const size = view.getUint32(offset, true);
  if (view.getUint16(offset + at.mark, true) !== recordMark) {
    throw new SnifferError('OUTPUT_CORRUPT', 'the output has no packed record where one begins');
  }
  const version = view.getUint8(offset + at.version);
  if (version !== recordVersion) {
    throw new SnifferError(
      'OUTPUT_CORRUPT',
      `the output has packed records of version ${version}; this package reads version ${recordVersion}`,
    );
  }
  if (size < recordHeaderSize || size % 8 !== 0 || size > messageBytesMax) {
    throw new SnifferError('OUTPUT_CORRUPT', `a packed record of ${size} bytes cannot be`);
  }
  return size;
}

/** Whether the record is a message that can be read. One that is none is left out, and reported
 * unless it is of a kind that later engines may write. */
function isMessage(
  view: DataView,
  bytes: Buffer,
  offset: number,
  size: number,
  onMalformed: MalformedListener,
): boolean {
  if (view.getUint8(offset + at.kind) !== messageKind) return false;
  const fault = faultOf(view, offset, size);
  if (fault === undefined) return true;
  onMalformed(bytes.subarray(offset, offset + Math.min(size, malformedBytesShown)), fault);
  return false;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * Records of `format: packed`. With `reuse` there is one message, which `next` moves on: it is
 * valid until the next call.
 */
export class PackedDecoder implements Decoder {
  readonly #input = new Input();
  readonly #messageBytesMax: number;
  readonly #onMalformed: MalformedListener;
  readonly #reused: PackedMessage | undefined;
  /** What records are cut from in place, as long as they lie in it whole. */
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = viewOf(this.#bytes);

  constructor(messageBytesMax: number, onMalformed: MalformedListener, reuse = false) {
    this.#messageBytesMax = messageBytesMax;
    this.#onMalformed = onMalformed;
    this.#reused = reuse ? new PackedMessage(true) : undefined;
  }

  get pendingBytes(): number {
    return this.#input.size;
  }

  push(chunk: Buffer): void {
    this.#input.push(chunk);
    this.#bytes = this.#input.chunk;
    this.#view = viewOf(this.#bytes);
  }

  next(): Message | null {
    const input = this.#input;
    if (input.isCarrying) {
      const joined = this.#joined();
      if (joined === null) return null;
      const view = viewOf(joined);
      if (isMessage(view, joined, 0, joined.length, this.#onMalformed)) {
        return this.#message(view, joined, 0, joined.length);
      }
    }
    for (;;) {
      const offset = input.position;
      const left = this.#bytes.length - offset;
      if (left < recordHeaderSize) return null;
      const size = sizeOf(this.#view, offset, this.#messageBytesMax);
      if (left < size) return null;
      input.skip(size);
      if (isMessage(this.#view, this.#bytes, offset, size, this.#onMalformed)) {
        return this.#message(this.#view, this.#bytes, offset, size);
      }
    }
  }

  nextBlock(): Buffer | null {
    const joined = this.#input.isCarrying ? this.#joined() : undefined;
    if (joined === null) return null;
    const begin = this.#input.position;
    let end = begin;
    while (this.#bytes.length - end >= recordHeaderSize) {
      const size = sizeOf(this.#view, end, this.#messageBytesMax);
      if (this.#bytes.length - end < size) break;
      end += size;
    }
    this.#input.skip(end - begin);
    const whole = this.#bytes.subarray(begin, end);
    if (joined !== undefined) return whole.length === 0 ? joined : Buffer.concat([joined, whole]);
    return whole.length === 0 ? null : whole;
  }

  end(): void {
    if (this.#input.size > 0) this.#onMalformed(this.#input.drop(), 'cut at the end');
  }

  /** The record that lies across reads; null when more bytes are needed. */
  #joined(): Buffer | null {
    const input = this.#input;
    if (input.size < recordHeaderSize) return null;
    const size = sizeOf(viewOf(input.peek(recordHeaderSize)), 0, this.#messageBytesMax);
    return input.size < size ? null : input.take(size);
  }

  #message(view: DataView, bytes: Buffer, offset: number, size: number): PackedMessage {
    return (this.#reused ?? new PackedMessage()).moveTo(view, bytes, offset, size);
  }
}

/** The messages of a block that `nextBlock` gave. */
export function* messagesOfRecords(
  block: Buffer,
  onMalformed: MalformedListener,
): Generator<Message> {
  const view = viewOf(block);
  for (let offset = 0; offset < block.length; ) {
    const size = sizeOf(view, offset, block.length - offset);
    if (isMessage(view, block, offset, size, onMalformed)) {
      yield new PackedMessage().moveTo(view, block, offset, size);
    }
    offset += size;
  }
}
