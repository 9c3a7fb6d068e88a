import { type Decoder, type MalformedListener, malformedBytesShown } from './decoder.js';
import type { Message } from './message.js';
import { exchangeFaultOf, PackedExchange } from './packed-exchange.js';
import { RecordInput, sizeOfRecord } from './packed-input.js';
import { exchangeKind, faultOf, messageKind, wordAt } from './packed-layout.js';
import { memoryOf, type RecordMemory } from './packed-memory.js';
import { PackedMessage } from './packed-message.js';
import { isSelected, SelectedMessage } from './packed-selected.js';

/** Whether the record is one of the wanted kind that can be read. One that is none is left out, and
 * reported unless it is of another kind, which later engines may write. */
function isReadable(
  kind: typeof messageKind | typeof exchangeKind,
  memory: RecordMemory,
  offset: number,
  size: number,
  onMalformed: MalformedListener,
): boolean {
  if ((memory.words[(offset >>> 2) + wordAt.mark] as number) >>> 24 !== kind) return false;
  const fault =
    kind === messageKind ? faultOf(memory, offset, size) : exchangeFaultOf(memory, offset, size);
  if (fault === undefined) return true;
  const shown = memory.bytes.subarray(offset, offset + Math.min(size, malformedBytesShown));
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
  protected abstract viewAt(memory: RecordMemory, offset: number, size: number): T;

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
      const carried = memoryOf(record);
      if (isReadable(this.#kind, carried, 0, record.length, this.#onMalformed)) {
        return this.viewAt(carried, 0, record.length);
      }
    }
    const { memory } = input;
    for (let size = input.nextSize(); size > 0; size = input.nextSize()) {
      const offset = input.position;
      input.position = offset + size;
      if (isReadable(this.#kind, memory, offset, size, this.#onMalformed)) {
        return this.viewAt(memory, offset, size);
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
    const block = input.memory.bytes.subarray(begin, input.position);
    input.release();
    return block.length === 0 ? null : block;
  }

  end(): void {
    if (this.#input.size > 0) this.#onMalformed(this.#input.drop(), 'cut at the end');
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

  protected override viewAt(memory: RecordMemory, offset: number, size: number): PackedMessage {
    const message = isSelected(memory.view, offset)
      ? (this.#reusedSelected ?? new SelectedMessage())
      : (this.#reused ?? new PackedMessage());
    return message.moveTo(memory, offset, size);
  }
}

/** Exchanges of `format: packed` with `records: exchange`; `reuse` as with messages. */
export class PackedExchangeDecoder extends RecordDecoder<PackedExchange> {
  readonly #reused: PackedExchange | undefined;

  constructor(messageBytesMax: number, onMalformed: MalformedListener, reuse = false) {
    super(exchangeKind, messageBytesMax, onMalformed);
    this.#reused = reuse ? new PackedExchange(true) : undefined;
  }

  protected override viewAt(memory: RecordMemory, offset: number, size: number): PackedExchange {
    return (this.#reused ?? new PackedExchange()).moveTo(memory, offset, size);
  }
}

/** The messages of a block that `nextBlock` gave. */
export function* messagesOfRecords(
  block: Buffer,
  onMalformed: MalformedListener,
): Generator<Message> {
  const memory = memoryOf(block);
  const { view } = memory;
  for (let offset = 0; offset < block.length; ) {
    const size = sizeOfRecord(view, offset, block.length - offset);
    if (isReadable(messageKind, memory, offset, size, onMalformed)) {
      const message = isSelected(view, offset) ? new SelectedMessage() : new PackedMessage();
      yield message.moveTo(memory, offset, size);
    }
    offset += size;
  }
}
