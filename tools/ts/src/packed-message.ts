import type { Endpoint, Headers, MessageFields } from './generated.js';
import { lineOf } from './line-text.js';
import { Message } from './message.js';
import {
  bodyEncodingOf,
  bodyOf,
  fieldsOfMessage,
  httpVersionOf,
  millisecondsAt,
} from './packed-fields.js';
import { at, fieldSize, flag, incompleteWords, readU64 } from './packed-layout.js';
import {
  endpointOf,
  firstTextOf,
  hasFlag,
  headersOf,
  headerValueAt,
  isPop3,
  isRequest,
  partNumberOf,
  type RecordBytes,
  secondTextOf,
  viewOf,
} from './packed-record.js';
import { bytesOfName, idText, isName, timeText } from './packed-text.js';

const nothing = Buffer.alloc(0);
const noView = viewOf(nothing);

/** A message that is at least this part of the memory it points into is left there by detach. */
const detachedShare = 2;

/**
 * A message of `format: packed`: a view on its record. Numbers are loads, texts are made when they
 * are read, objects when they are first asked for. Its places have been checked to lie in it.
 */
export class PackedMessage extends Message {
  #view: DataView = noView;
  #bytes: Buffer = nothing;
  #at = 0;
  #size = 0;
  #headers: Headers | undefined;
  #all: MessageFields | undefined;

  readonly #isReused: boolean;

  /** A view on nothing; `moveTo` gives it a record, again and again when it `isReused`. */
  constructor(isReused = false) {
    super(nothing);
    this.#isReused = isReused;
  }

  /** Makes this a view on the record of `size` bytes that begins at `offset` of `bytes`, on which
   * `view` is. */
  moveTo(view: DataView, bytes: Buffer, offset: number, size: number): this {
    this.#view = view;
    this.#bytes = bytes;
    this.#at = offset;
    this.#size = size;
    this.#headers = undefined;
    this.#all = undefined;
    return this;
  }

  override parse(): void {}

  override get byteLength(): number {
    return this.#size;
  }

  override get direction(): 'request' | 'response' {
    return isRequest(this.#view, this.#at) ? 'request' : 'response';
  }

  override get protocol(): 'pop3' | undefined {
    return isPop3(this.#view, this.#at) ? 'pop3' : undefined;
  }

  override get receiver(): Endpoint {
    return endpointOf(this.#view, this.#at, at.receiverIp, at.receiverPort);
  }

  override get destination(): Endpoint {
    return endpointOf(this.#view, this.#at, at.destinationIp, at.destinationPort);
  }

  override get method(): string | undefined {
    return isRequest(this.#view, this.#at) && this.#hasHead() ? this.firstText() : undefined;
  }

  override get path(): string | undefined {
    const isPath = isRequest(this.#view, this.#at) && !isPop3(this.#view, this.#at);
    return isPath && this.#hasHead() ? this.secondText() : undefined;
  }

  override get argument(): string | undefined {
    const isArgument = isRequest(this.#view, this.#at) && isPop3(this.#view, this.#at);
    return isArgument ? this.secondText() : undefined;
  }

  override get statusCode(): number | undefined {
    const status = this.#view.getUint16(this.#at + at.status, true);
    return status === 0 ? undefined : status;
  }

  override get status(): '+OK' | '-ERR' | '+' | undefined {
    if (isRequest(this.#view, this.#at) || !isPop3(this.#view, this.#at)) return undefined;
    return this.firstText() as '+OK' | '-ERR' | '+';
  }

  override get statusText(): string | undefined {
    const isText = !isRequest(this.#view, this.#at) && this.#hasHead();
    return isText ? this.secondText() : undefined;
  }

  override get httpVersion(): MessageFields['httpVersion'] {
    return this.#hasHead() ? httpVersionOf(this.#view, this.#at) : undefined;
  }

  override get headers(): Headers {
    this.#headers ??= headersOf(
      this.record,
      this.#u32(at.headers),
      this.#u32(at.headers + 4),
      'headers',
      undefined,
    );
    return this.#headers;
  }

  /** The first value of a header, found without making the others; the name in any case. */
  override header(name: string): string | undefined {
    const view = this.#view;
    const wanted = bytesOfName(name);
    const list = this.#at + this.#u32(at.headers);
    const end = list + this.#u32(at.headers + 4) * fieldSize;
    for (let entry = list; entry < end; entry += fieldSize) {
      if (view.getUint32(entry + 4, true) !== wanted.length) continue;
      const begin = this.#at + view.getUint32(entry, true);
      if (isName(wanted, this.#bytes, begin)) return headerValueAt(this.record, entry);
    }
    // A name that is no UTF-8 is looked up as it is shown.
    return hasFlag(view, this.#at, flag.textsAreAscii) ? undefined : super.header(name);
  }

  override get bodySize(): number {
    return readU64(this.#view, this.#at + at.bodySize);
  }

  override get bodyTruncated(): true | undefined {
    return hasFlag(this.#view, this.#at, flag.bodyTruncated) ? true : undefined;
  }

  override get timestamp(): string {
    return timeText(this.#view, this.#at + at.firstByteNs);
  }

  override get durationMs(): number | undefined {
    return millisecondsAt(this.#view, this.#at + at.durationNs);
  }

  override get latencyMs(): number | undefined {
    if (!hasFlag(this.#view, this.#at, flag.hasLatency)) return undefined;
    return millisecondsAt(this.#view, this.#at + at.latencyNs);
  }

  override get connectionId(): string {
    return idText(this.#view, this.#at + at.connectionId);
  }

  override get exchange(): number | undefined {
    if (!hasFlag(this.#view, this.#at, flag.hasExchange)) return undefined;
    return readU64(this.#view, this.#at + at.exchange);
  }

  override get incomplete(): MessageFields['incomplete'] {
    return incompleteWords[this.#view.getUint8(this.#at + at.incomplete)];
  }

  override get headersIncomplete(): true | undefined {
    return hasFlag(this.#view, this.#at, flag.headersIncomplete) ? true : undefined;
  }

  override get afterGap(): true | undefined {
    return hasFlag(this.#view, this.#at, flag.afterGap) ? true : undefined;
  }

  override get bodyEncoding(): MessageFields['bodyEncoding'] {
    return bodyEncodingOf(this.#view, this.#at);
  }

  override get body(): string | undefined {
    return bodyOf(this.record);
  }

  override get bodyBuffer(): Buffer {
    const length = this.#u32(at.body + 4);
    if (length === 0) return nothing;
    const begin = this.#at + this.#u32(at.body);
    return this.#bytes.subarray(begin, begin + length);
  }

  /** The line that `format: ndjson` has for this message, without its end. */
  override get raw(): Buffer {
    return this.toLine();
  }

  override toLine(): Buffer {
    return Buffer.from(lineOf(this.toJSON()));
  }

  override toJSON(): MessageFields {
    return fieldsOfMessage(this.record);
  }

  override detach(): Message {
    // With reuse the memory is read into again.
    const isAlone = this.#bytes.buffer.byteLength <= detachedShare * this.#size;
    if (isAlone && !this.#isReused) return this;
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    this.#bytes.copy(bytes, 0, this.#at, this.#at + this.#size);
    return this.another().moveTo(viewOf(bytes), bytes, 0, this.#size);
  }

  /** The bytes of this message, for functions that read records. */
  protected get record(): RecordBytes {
    return { view: this.#view, bytes: this.#bytes, record: this.#at };
  }

  protected firstText(): string {
    return firstTextOf(this.record);
  }

  protected secondText(): string {
    return secondTextOf(this.record);
  }

  /** A message of the same kind, on nothing. */
  protected another(): PackedMessage {
    return new PackedMessage();
  }

  protected override fields(): MessageFields {
    this.#all ??= fieldsOfMessage(this.record);
    return this.#all;
  }

  #u32(offset: number): number {
    return this.#view.getUint32(this.#at + offset, true);
  }

  /** False for the later parts of a message. They alone have parts of the record and no head. */
  #hasHead(): boolean {
    if (this.#u32(at.parts + 4) === 0) return true;
    return (partNumberOf(this.#view, this.#at)?.number ?? 1) <= 1;
  }
}
