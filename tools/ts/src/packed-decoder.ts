import { type Decoder, type MalformedListener, malformedBytesShown } from './decoder.js';
import type { Message } from './message.js';
import { exchangeFaultOf, PackedExchange } from './packed-exchange.js';
import { RecordInput, sizeOfRecord } from './packed-input.js';
import { at, exchangeKind, faultOf, messageKind } from './packed-layout.js';
import { PackedMessage } from './packed-message.js';
import { viewOf } from './packed-record.js';
import { isSelected, SelectedMessage } from './packed-selected.js';

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
  const shown = bytes.subarray(offset, offset + Math.min(size, malformedBytesShown));
  onMalformed(Buffer.from(shown), fault);
  return false;
}

/** Cuts records, and gives those of one kind. */
abstract class RecordDecoder<T> implements Decoder<T> {
  readonly #input: RecordInput;
  readonly #kind: typeof messageKind | typeof exchangeKind;
  readonly #onMalformed: MalformedListener;

  constructor(
    kind: typeof messageKind | typeof exchangeKind,
    messageBytesMax: number,
    onMalformed: MalformedListener,
  ) {
    this.#kind = kind;
    this.#input = new RecordInput(messageBytesMax);
    this.#onMalformed = onMalformed;
  }

  /** What stands for a record that can be read. */
  protected abstract viewAt(view: DataView, bytes: Buffer, offset: number, size: number): T;

  get pendingBytes(): number {
    return this.#input.size;
  }

  push(chunk: Buffer): void {
    this.#input.push(chunk);
  }

  next(): T | null {
    const input = this.#input;
    if (input.isCarrying) {
      const record = input.takeCarried();
      if (record === null) return null;
      const view = viewOf(record);
      if (this.#isReadable(view, record, 0, record.length)) {
        return this.viewAt(view, record, 0, record.length);
      }
    }
    const { bytes, view } = input;
    for (let size = input.nextSize(); size > 0; size = input.nextSize()) {
      const offset = input.position;
      input.position = offset + size;
      if (this.#isReadable(view, bytes, offset, size)) {
        return this.viewAt(view, bytes, offset, size);
      }
    }
    return null;
  }

  nextBlock(): Buffer | null {
    const input = this.#input;
    // What lies across two reads is a block by itself.
    if (input.isCarrying) {
      const record = input.takeCarried();
      if (record === null) input.release();
      return record;
    }
    const begin = input.position;
    for (let size = input.nextSize(); size > 0; size = input.nextSize()) input.position += size;
    const block = input.bytes.subarray(begin, input.position);
    input.release();
    return block.length === 0 ? null : block;
  }

  end(): void {
    if (this.#input.size > 0) this.#onMalformed(this.#input.drop(), 'cut at the end');
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
  readonly #reusedSelected: SelectedMessage | undefined;

  constructor(messageBytesMax: number, onMalformed: MalformedListener, reuse = false) {
    super(messageKind, messageBytesMax, onMalformed);
    this.#reused = reuse ? new PackedMessage(true) : undefined;
    this.#reusedSelected = reuse ? new SelectedMessage(true) : undefined;
  }

  protected override viewAt(
    view: DataView,
    bytes: Buffer,
    offset: number,
    size: number,
  ): PackedMessage {
    const message = isSelected(view, offset)
      ? (this.#reusedSelected ?? new SelectedMessage())
      : (this.#reused ?? new PackedMessage());
    return message.moveTo(view, bytes, offset, size);
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
    const size = sizeOfRecord(view, offset, block.length - offset);
    if (isReadable(messageKind, view, block, offset, size, onMalformed)) {
      const message = isSelected(view, offset) ? new SelectedMessage() : new PackedMessage();
      yield message.moveTo(view, block, offset, size);
    }
    offset += size;
  }
}
