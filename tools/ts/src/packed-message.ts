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
import { at, fieldSize, flag, incompleteWords, u64At, wordAt } from './packed-layout.js';
import { memoryOf, noMemory, type RecordMemory } from './packed-memory.js';
import {
  endpointOf,
  firstTextOf,
  headersOf,
  headerValueAt,
  partNumberOf,
  type RecordBytes,
  secondTextOf,
} from './packed-record.js';
import { bytesOfName, idText, isName, timeText } from './packed-text.js';

const nothing = Buffer.alloc(0);

/** A message that is at least this part of the memory it points into is left there by detach. */
const detachedShare = 2;

/**
 * A message of `format: packed`: a view on its record. Numbers are loads, texts are made when they
 * are read, objects when they are first asked for. Its places have been checked to lie in it.
 */
export class PackedMessage extends Message {
  #memory: RecordMemory = noMemory;
  #words = noMemory.words;
  /** Where the record begins, in bytes, and in words. */
  #at = 0;
  #first = 0;
  #size = 0;
  #headers: Headers | undefined;
  #all: MessageFields | undefined;

  readonly #isReused: boolean;

  /** A view on nothing; `moveTo` gives it a record, again and again when it `isReused`. */
  constructor(isReused = false) {
    super(nothing);
    this.#isReused = isReused;
  }

  /** Makes this a view on the record of `size` bytes that begins at `offset`. */
  moveTo(memory: RecordMemory, offset: number, size: number): this {
    this.#memory = memory;
    this.#words = memory.words;
    this.#at = offset;
    this.#first = offset >>> 2;
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
    const isRequest = ((this.#words[this.#first + wordAt.direction] as number) & 0xff) === 0;
    return isRequest ? 'request' : 'response';
  }

  override get protocol(): 'pop3' | undefined {
    return this.#isPop3() ? 'pop3' : undefined;
  }

  override get receiver(): Endpoint {
    return endpointOf(this.#memory.view, this.#at, at.receiverIp, at.receiverPort);
  }

  override get destination(): Endpoint {
    return endpointOf(this.#memory.view, this.#at, at.destinationIp, at.destinationPort);
  }

  override get method(): string | undefined {
    return this.#isRequest() && this.#hasHead() ? this.firstText() : undefined;
  }

  override get path(): string | undefined {
    const isPath = this.#isRequest() && !this.#isPop3();
    return isPath && this.#hasHead() ? this.secondText() : undefined;
  }

  override get argument(): string | undefined {
    const isArgument = this.#isRequest() && this.#isPop3();
    return isArgument ? this.secondText() : undefined;
  }

  override get statusCode(): number | undefined {
    const status = (this.#words[this.#first + wordAt.fixedSize] as number) >>> 16;
    return status === 0 ? undefined : status;
  }

  override get status(): '+OK' | '-ERR' | '+' | undefined {
    if (this.#isRequest() || !this.#isPop3()) return undefined;
    return this.firstText() as '+OK' | '-ERR' | '+';
  }

  override get statusText(): string | undefined {
    const isText = !this.#isRequest() && this.#hasHead();
    return isText ? this.secondText() : undefined;
  }

  override get httpVersion(): MessageFields['httpVersion'] {
    return this.#hasHead() ? httpVersionOf(this.#memory.view, this.#at) : undefined;
  }

  override get headers(): Headers {
    this.#headers ??= headersOf(
      this.record,
      this.#word(wordAt.headers),
      this.#word(wordAt.headers + 1),
      'headers',
      undefined,
    );
    return this.#headers;
  }

  /** The first value of a header, found without making the others; the name in any case. */
  override header(name: string): string | undefined {
    const { bytes, words } = this.#memory;
    const wanted = bytesOfName(name);
    const list = this.#at + this.#word(wordAt.headers);
    if ((list & 3) !== 0) return super.header(name);
    const end = list + this.#word(wordAt.headers + 1) * fieldSize;
    for (let entry = list; entry < end; entry += fieldSize) {
      const field = entry >>> 2;
      if (words[field + 1] !== wanted.length) continue;
      const begin = this.#at + (words[field] as number);
      if (isName(wanted, bytes, begin)) return headerValueAt(this.record, entry);
    }
    // A name that is no UTF-8 is looked up as it is shown.
    return this.#hasFlag(flag.textsAreAscii) ? undefined : super.header(name);
  }

  override get bodySize(): number {
    return u64At(this.#words, this.#first + wordAt.bodySize);
  }

  override get bodyTruncated(): true | undefined {
    return this.#hasFlag(flag.bodyTruncated) ? true : undefined;
  }

  override get timestamp(): string {
    return timeText(this.#memory.view, this.#at + at.firstByteNs);
  }

  override get durationMs(): number | undefined {
    return millisecondsAt(this.#memory.view, this.#at + at.durationNs);
  }

  override get latencyMs(): number | undefined {
    if (!this.#hasFlag(flag.hasLatency)) return undefined;
    return millisecondsAt(this.#memory.view, this.#at + at.latencyNs);
  }

  override get connectionId(): string {
    return idText(this.#memory.view, this.#at + at.connectionId);
  }

  override get exchange(): number | undefined {
    if (!this.#hasFlag(flag.hasExchange)) return undefined;
    return u64At(this.#words, this.#first + wordAt.exchange);
  }

  override get incomplete(): MessageFields['incomplete'] {
    return incompleteWords[this.#memory.view.getUint8(this.#at + at.incomplete)];
  }

  override get headersIncomplete(): true | undefined {
    return this.#hasFlag(flag.headersIncomplete) ? true : undefined;
  }

  override get afterGap(): true | undefined {
    return this.#hasFlag(flag.afterGap) ? true : undefined;
  }

  override get bodyEncoding(): MessageFields['bodyEncoding'] {
    return bodyEncodingOf(this.#memory.view, this.#at);
  }

  override get body(): string | undefined {
    return bodyOf(this.record);
  }

  override get bodyBuffer(): Buffer {
    const length = this.#word(wordAt.body + 1);
    if (length === 0) return nothing;
    const begin = this.#at + this.#word(wordAt.body);
    return this.#memory.bytes.subarray(begin, begin + length);
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
    const isAlone = this.#memory.bytes.buffer.byteLength <= detachedShare * this.#size;
    if (isAlone && !this.#isReused) return this;
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    this.#memory.bytes.copy(bytes, 0, this.#at, this.#at + this.#size);
    return this.another().moveTo(memoryOf(bytes), 0, this.#size);
  }

  /** The bytes of this message, for functions that read records. */
  protected get record(): RecordBytes {
    const { view, bytes } = this.#memory;
    return { view, bytes, record: this.#at };
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

  /** A word of the fixed part. */
  #word(word: number): number {
    return this.#words[this.#first + word] as number;
  }

  #hasFlag(bit: number): boolean {
    return (this.#word(wordAt.flags) & bit) !== 0;
  }

  #isRequest(): boolean {
    return (this.#word(wordAt.direction) & 0xff) === 0;
  }

  #isPop3(): boolean {
    return ((this.#word(wordAt.direction) >>> 8) & 0xff) === 1;
  }

  /** False for the later parts of a message. They alone have parts of the record and no head. */
  #hasHead(): boolean {
    if (this.#word(wordAt.parts + 1) === 0) return true;
    return (partNumberOf(this.#memory.view, this.#at)?.number ?? 1) <= 1;
  }
}
