import { ExchangeRecord } from './exchange-record.js';
import type { ExchangeFields, MessageFields } from './generated.js';
import { lineOf } from './line-text.js';
import type { Message } from './message.js';
import {
  connectionFieldsOf,
  fieldsInExchange,
  fieldsOfExchange,
  millisecondsAt,
} from './packed-fields.js';
import {
  at,
  faultOf,
  flag,
  incompleteWords,
  messageKind,
  orphanWords,
  recordMark,
  recordVersion,
  shown,
} from './packed-layout.js';
import { memoryOf, noMemory, type RecordMemory } from './packed-memory.js';
import { PackedMessage } from './packed-message.js';
import { hasFlag, type RecordBytes } from './packed-record.js';
import { isSelected, notSelected, SelectedMessage, selectedExchangeOf } from './packed-selected.js';
import type { Exchange, OrphanReason } from './pair.js';

const nothing = Buffer.alloc(0);
const noRecord: RecordBytes = { ...noMemory, record: 0 };

/** An exchange that is at least this part of the memory it points into is left there by detach. */
const detachedShare = 2;

const switchingProtocols = 101;

/** Why an exchange must not be read that begins at `record` and has `size` bytes, all of which are
 * there; undefined: every place lies in it, and its messages can be read. */
export function exchangeFaultOf(
  memory: RecordMemory,
  record: number,
  size: number,
): string | undefined {
  const fault = faultOf(memory, record, size);
  if (fault !== undefined) return fault;
  const { view } = memory;
  let begin = record + view.getUint32(record + at.body, true);
  const end = begin + view.getUint32(record + at.body + 4, true);
  if ((begin & 3) !== 0) return 'a message beyond its exchange';
  let messages = 0;
  while (begin < end) {
    const left = end - begin;
    const length = left < 8 ? 0 : view.getUint32(begin, true);
    if (length < 8 || length % 8 !== 0 || length > left) return 'a message beyond its exchange';
    const isRecord =
      view.getUint16(begin + at.mark, true) === recordMark &&
      view.getUint8(begin + at.version) === recordVersion;
    if (!isRecord) return 'an exchange of what is no record';
    if (view.getUint8(begin + at.kind) === messageKind) {
      const messageFault = faultOf(memory, begin, length);
      if (messageFault !== undefined) return messageFault;
      messages += 1;
    }
    begin += length;
  }
  return messages === 0 ? 'an exchange without a message' : undefined;
}

/** A message of an exchange, whose record says what is of their connection: that of the request may
 * have been written before it was known. */
class MessageOfExchange extends PackedMessage {
  #about: RecordBytes = noRecord;
  /** Of a detached message, which has its own record alone: what the exchange's said. */
  #connection: Record<string, unknown> | undefined;

  /** Makes this a message of the exchange whose record is `about`. */
  ofExchange(about: RecordBytes): this {
    this.#about = about;
    return this;
  }

  override toJSON(): MessageFields {
    return this.#completed(super.toJSON());
  }

  override detach(): Message {
    const { bytes, record } = this.record;
    const own = Buffer.allocUnsafeSlow(this.byteLength);
    bytes.copy(own, 0, record, record + own.length);
    const copy = new MessageOfExchange();
    copy.#connection = this.#connectionFields();
    return copy.moveTo(memoryOf(own), 0, own.length);
  }

  protected override fields(): MessageFields {
    return this.#completed(super.fields());
  }

  #completed(fields: MessageFields): MessageFields {
    return Object.assign(fields, this.#connectionFields());
  }

  #connectionFields(): Record<string, unknown> {
    return this.#connection ?? connectionFieldsOf(this.#about);
  }
}

/**
 * An exchange of `format: packed` with `records: exchange`: a view on its record, in which the
 * records of its messages stand. Its places have been checked to lie in it. When it is reused, so
 * are its request and response.
 */
export class PackedExchange extends ExchangeRecord {
  /** On the exchange's own record, which has the fixed part of a message. */
  readonly #about = new PackedMessage(true);
  readonly #isReused: boolean;
  #memory: RecordMemory = noMemory;
  #at = 0;
  #size = 0;
  #isSelected = false;
  /** Where the messages begin, 0: there is none. An exchange begins before its messages. */
  #requestAt = 0;
  #responseAt = 0;
  #interimAt: number[] | undefined;
  #areFound = false;
  #request: PackedMessage | undefined;
  #response: PackedMessage | undefined;
  #interim: Message[] | undefined;

  /** A view on nothing; `moveTo` gives it a record, again and again when it `isReused`. */
  constructor(isReused = false) {
    super(nothing);
    this.#isReused = isReused;
  }

  /** Makes this a view on the record of `size` bytes that begins at `offset`. */
  moveTo(memory: RecordMemory, offset: number, size: number): this {
    this.#about.moveTo(memory, offset, size);
    this.#memory = memory;
    this.#at = offset;
    this.#size = size;
    this.#isSelected = isSelected(memory.view, offset);
    this.#areFound = false;
    this.#interim = undefined;
    return this;
  }

  override parse(): void {}

  /** The line that `format: ndjson` has for this exchange, without its end. */
  override get raw(): Buffer {
    return this.toLine();
  }

  override get byteLength(): number {
    return this.#size;
  }

  override get timestamp(): string {
    return this.#shows(shown.timestamp) ? this.#about.timestamp : notSelected;
  }

  override get connectionId(): string {
    return this.#shows(shown.connectionId) ? this.#about.connectionId : notSelected;
  }

  override get exchange(): number | undefined {
    return this.#about.exchange;
  }

  override get protocol(): 'pop3' | undefined {
    return this.#about.protocol;
  }

  override get latencyMs(): number | undefined {
    return this.#about.latencyMs;
  }

  override get totalMs(): number | undefined {
    if (!hasFlag(this.#memory.view, this.#at, flag.hasTotal)) return undefined;
    return millisecondsAt(this.#memory.view, this.#at + at.durationNs);
  }

  override get orphan(): Exchange['orphan'] {
    this.#find();
    // POP3's greeting answers nothing and is a response alone nevertheless.
    if (this.#requestAt === 0) return 'response';
    return this.#responseAt === 0 ? 'request' : undefined;
  }

  override get orphanReason(): OrphanReason | undefined {
    return orphanWords[this.#memory.view.getUint8(this.#at + at.orphan)];
  }

  override get orphanCause(): Exchange['orphanCause'] {
    const word = incompleteWords[this.#memory.view.getUint8(this.#at + at.orphanCause)];
    return word as Exchange['orphanCause'];
  }

  override get request(): Message | undefined {
    this.#find();
    if (this.#requestAt === 0) return undefined;
    this.#request ??= this.#messageAt(this.#requestAt);
    return this.#request;
  }

  override get interim(): Message[] {
    this.#find();
    this.#interim ??= (this.#interimAt ?? []).map((begin) => this.#messageAt(begin));
    return this.#interim;
  }

  override get response(): Message | undefined {
    this.#find();
    if (this.#responseAt === 0) return undefined;
    this.#response ??= this.#messageAt(this.#responseAt);
    return this.#response;
  }

  override toJSON(): ExchangeFields {
    this.#find();
    const line = this.#isSelected ? this.#selectedLine() : this.#line();
    return line as unknown as ExchangeFields;
  }

  override detach(): PackedExchange {
    // With reuse the memory is read into again.
    const isAlone = this.#memory.bytes.buffer.byteLength <= detachedShare * this.#size;
    if (isAlone && !this.#isReused) return this;
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    this.#memory.bytes.copy(bytes, 0, this.#at, this.#at + this.#size);
    return new PackedExchange().moveTo(memoryOf(bytes), 0, this.#size);
  }

  override toLine(): Buffer {
    return Buffer.from(lineOf(this.toJSON()));
  }

  #line(): Record<string, unknown> {
    const out = fieldsOfExchange(this.#recordAt(this.#at), this.orphanReason);
    if (this.#requestAt !== 0) {
      out.request = fieldsInExchange(this.#recordAt(this.#requestAt), false, out.interface);
    }
    if (this.#interimAt !== undefined) {
      out.interim = this.#interimAt.map((begin) =>
        fieldsInExchange(this.#recordAt(begin), true, out.interface),
      );
    }
    if (this.#responseAt !== 0) {
      out.response = fieldsInExchange(this.#recordAt(this.#responseAt), false, out.interface);
    }
    return out;
  }

  #selectedLine(): Record<string, unknown> {
    const recordAt = (begin: number) => (begin === 0 ? undefined : this.#recordAt(begin));
    return selectedExchangeOf(
      this.#recordAt(this.#at),
      recordAt(this.#requestAt),
      this.#interimAt?.map((begin) => this.#memory.view.getUint16(begin + at.status, true)),
      recordAt(this.#responseAt),
      this.orphanReason,
    );
  }

  #shows(bit: number): boolean {
    return (
      !this.#isSelected || (this.#memory.view.getUint32(this.#at + at.shown, true) & bit) !== 0
    );
  }

  #recordAt(begin: number): RecordBytes {
    const { view, bytes } = this.#memory;
    return { view, bytes, record: begin };
  }

  #messageAt(begin: number): PackedMessage {
    const size = this.#memory.view.getUint32(begin, true);
    const message = this.#isSelected
      ? new SelectedMessage(this.#isReused)
      : new MessageOfExchange().ofExchange(this.#recordAt(this.#at));
    return message.moveTo(this.#memory, begin, size);
  }

  #find(): void {
    if (this.#areFound) return;
    this.#areFound = true;
    this.#requestAt = 0;
    this.#responseAt = 0;
    this.#interimAt = undefined;
    this.#request = undefined;
    this.#response = undefined;
    const view = this.#memory.view;
    let begin = this.#at + view.getUint32(this.#at + at.body, true);
    const end = begin + view.getUint32(this.#at + at.body + 4, true);
    for (; begin < end; begin += view.getUint32(begin, true)) {
      if (view.getUint8(begin + at.kind) !== messageKind) continue;
      const status = view.getUint16(begin + at.status, true);
      if (view.getUint8(begin + at.direction) === 0) {
        this.#requestAt = begin;
      } else if (status >= 100 && status < 200 && status !== switchingProtocols) {
        this.#interimAt ??= [];
        this.#interimAt.push(begin);
      } else {
        this.#responseAt = begin;
      }
    }
  }
}
