import { ExchangeRecord } from './exchange-record.js';
import type { ExchangeFields } from './generated.js';
import { lineOf } from './line-text.js';
import type { Message } from './message.js';
import {
  at,
  faultOf,
  messageKind,
  orphanWords,
  recordMark,
  recordVersion,
} from './packed-layout.js';
import { PackedMessage, viewOf } from './packed-message.js';
import type { Exchange, OrphanReason } from './pair.js';

const nothing = Buffer.alloc(0);

/** An exchange that is at least this part of the memory it points into is left there by detach. */
const detachedShare = 2;

const switchingProtocols = 101;

/** Why an exchange must not be read that begins at `record` and has `size` bytes, all of which are
 * there; undefined: every place lies in it, and its messages can be read. */
export function exchangeFaultOf(view: DataView, record: number, size: number): string | undefined {
  const fault = faultOf(view, record, size);
  if (fault !== undefined) return fault;
  let begin = record + view.getUint32(record + at.body, true);
  const end = begin + view.getUint32(record + at.body + 4, true);
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
      const messageFault = faultOf(view, begin, length);
      if (messageFault !== undefined) return messageFault;
      messages += 1;
    }
    begin += length;
  }
  return messages === 0 ? 'an exchange without a message' : undefined;
}

/**
 * An exchange of `format: packed` with `records: exchange`: a view on its record, in which the
 * records of its messages stand. Its places have been checked to lie in it. When it is reused, so
 * are its request and response.
 */
export class PackedExchange extends ExchangeRecord {
  /** On the exchange's own record, which has the fixed part of a message. */
  readonly #about: PackedMessage;
  readonly #isReused: boolean;
  #view: DataView = viewOf(nothing);
  #bytes: Buffer = nothing;
  #at = 0;
  #size = 0;
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
    this.#about = new PackedMessage(true);
  }

  /** Makes this a view on the record of `size` bytes that begins at `offset` of `bytes`, on which
   * `view` is. */
  moveTo(view: DataView, bytes: Buffer, offset: number, size: number): this {
    this.#about.moveTo(view, bytes, offset, size);
    this.#view = view;
    this.#bytes = bytes;
    this.#at = offset;
    this.#size = size;
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
    return this.#about.timestamp;
  }

  override get connectionId(): string {
    return this.#about.connectionId;
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
    return this.#about.totalMs;
  }

  override get orphan(): Exchange['orphan'] {
    this.#find();
    // POP3's greeting answers nothing and is a response alone nevertheless.
    if (this.#requestAt === 0) return 'response';
    return this.#responseAt === 0 ? 'request' : undefined;
  }

  override get orphanReason(): OrphanReason | undefined {
    return orphanWords[this.#view.getUint8(this.#at + at.orphan)];
  }

  override get orphanCause(): Exchange['orphanCause'] {
    return this.#about.orphanCause;
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
    const out = this.#about.fieldsOfExchange(this.orphanReason);
    if (this.#requestAt !== 0) {
      out.request = (this.request as PackedMessage).fieldsInExchange(false, out.interface);
    }
    if (this.#interimAt !== undefined) {
      out.interim = this.interim.map((message) =>
        (message as PackedMessage).fieldsInExchange(true, out.interface),
      );
    }
    if (this.#responseAt !== 0) {
      out.response = (this.response as PackedMessage).fieldsInExchange(false, out.interface);
    }
    return out as unknown as ExchangeFields;
  }

  override detach(): PackedExchange {
    if (this.#bytes.buffer.byteLength <= detachedShare * this.#size) {
      if (!this.#isReused) return this;
      return new PackedExchange().moveTo(this.#view, this.#bytes, this.#at, this.#size);
    }
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    this.#bytes.copy(bytes, 0, this.#at, this.#at + this.#size);
    return new PackedExchange().moveTo(viewOf(bytes), bytes, 0, this.#size);
  }

  override toLine(): Buffer {
    return Buffer.from(lineOf(this.toJSON()));
  }

  #messageAt(begin: number): PackedMessage {
    const size = this.#view.getUint32(begin, true);
    return new PackedMessage().moveTo(this.#view, this.#bytes, begin, size);
  }

  #find(): void {
    if (this.#areFound) return;
    this.#areFound = true;
    this.#requestAt = 0;
    this.#responseAt = 0;
    this.#interimAt = undefined;
    this.#request = undefined;
    this.#response = undefined;
    const view = this.#view;
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
