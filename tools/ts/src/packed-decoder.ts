import { type Decoder, Input, type MalformedListener, malformedBytesShown } from './decoder.js';
import { SnifferError } from './errors.js';
import type { Message } from './message.js';
import { exchangeFaultOf, PackedExchange } from './packed-exchange.js';
import {
  at,
  exchangeKind,
  faultOf,
  messageKind,
  recordHeaderSize,
  recordMark,
  recordVersion,
} from './packed-layout.js';
import { PackedMessage, viewOf } from './packed-message.js';

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

/** Whether the record is one of the wanted kind that can be read. One that is none is left out, and
 * reported unless it is of another kind, which later engines may write. */
function isReadable(
  kind: typeof messageKind | typeof exchangeKind,
  view: DataView,
  bytes: Buffer,
  offset: number,
  size: number,
  onMalformed: MalformedListener,
): boolean {
  if (view.getUint8(offset + at.kind) !== kind) return false;
  const fault =
    kind === messageKind ? faultOf(view, offset, size) : exchangeFaultOf(view, offset, size);
  if (fault === undefined) return true;
  onMalformed(bytes.subarray(offset, offset + Math.min(size, malformedBytesShown)), fault);
  return false;
}

/** Cuts records, and gives those of one kind. */
abstract class RecordDecoder<T> implements Decoder<T> {
  readonly #input = new Input();
  readonly #kind: typeof messageKind | typeof exchangeKind;
  readonly #messageBytesMax: number;
  readonly #onMalformed: MalformedListener;
  /** What records are cut from in place, as long as they lie in it whole. */
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = viewOf(this.#bytes);

  constructor(
    kind: typeof messageKind | typeof exchangeKind,
    messageBytesMax: number,
    onMalformed: MalformedListener,
  ) {
    this.#kind = kind;
    this.#messageBytesMax = messageBytesMax;
    this.#onMalformed = onMalformed;
  }

  /** What stands for a record that can be read. */
  protected abstract viewAt(view: DataView, bytes: Buffer, offset: number, size: number): T;

  get pendingBytes(): number {
    return this.#input.size;
  }

  push(chunk: Buffer): void {
    this.#input.push(chunk);
    this.#bytes = this.#input.chunk;
    this.#view = viewOf(this.#bytes);
  }

  next(): T | null {
    const input = this.#input;
    if (input.isCarrying) {
      const joined = this.#joined();
      if (joined === null) return null;
      const view = viewOf(joined);
      if (this.#isReadable(view, joined, 0, joined.length)) {
        return this.viewAt(view, joined, 0, joined.length);
      }
    }
    for (;;) {
      const offset = input.position;
      const left = this.#bytes.length - offset;
      if (left < recordHeaderSize) return null;
      const size = sizeOf(this.#view, offset, this.#messageBytesMax);
      if (left < size) return null;
      input.skip(size);
      if (this.#isReadable(this.#view, this.#bytes, offset, size)) {
        return this.viewAt(this.#view, this.#bytes, offset, size);
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

  #isReadable(view: DataView, bytes: Buffer, offset: number, size: number): boolean {
    return isReadable(this.#kind, view, bytes, offset, size, this.#onMalformed);
  }
}

/**
 * Messages of `format: packed`. With `reuse` there is one message, which `next` moves on: it is
 * valid until the next call.
 */
export class PackedDecoder extends RecordDecoder<Message> {
  readonly #reused: PackedMessage | undefined;

  constructor(messageBytesMax: number, onMalformed: MalformedListener, reuse = false) {
    super(messageKind, messageBytesMax, onMalformed);
    this.#reused = reuse ? new PackedMessage(true) : undefined;
  }

  protected override viewAt(
    view: DataView,
    bytes: Buffer,
    offset: number,
    size: number,
  ): PackedMessage {
    return (this.#reused ?? new PackedMessage()).moveTo(view, bytes, offset, size);
  }
}

/** Exchanges of `format: packed` with `records: exchange`; `reuse` as with messages. */
export class PackedExchangeDecoder extends RecordDecoder<PackedExchange> {
  readonly #reused: PackedExchange | undefined;

  constructor(messageBytesMax: number, onMalformed: MalformedListener, reuse = false) {
    super(exchangeKind, messageBytesMax, onMalformed);
    this.#reused = reuse ? new PackedExchange(true) : undefined;
  }

  protected override viewAt(
    view: DataView,
    bytes: Buffer,
    offset: number,
    size: number,
  ): PackedExchange {
    return (this.#reused ?? new PackedExchange()).moveTo(view, bytes, offset, size);
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
    if (isReadable(messageKind, view, block, offset, size, onMalformed)) {
      yield new PackedMessage().moveTo(view, block, offset, size);
    }
    offset += size;
  }
}
