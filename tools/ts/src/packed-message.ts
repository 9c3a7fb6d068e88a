import type { Endpoint, ExchangeFields, Headers, MessageFields, Proxied } from './generated.js';
import { lineOf } from './line-text.js';
import { Message } from './message.js';
import {
  anomalyWords,
  at,
  bodyKind,
  decodeErrorWords,
  fieldSize,
  flag,
  incompleteWords,
  part,
  readI64,
  readU64,
  valueIsFolded,
  valueIsLatin1,
  valueLengthMask,
} from './packed-layout.js';
import {
  asciiLower,
  bytesOfName,
  idText,
  ipText,
  isName,
  timeText,
  unfolded,
  WordTable,
} from './packed-text.js';

const nothing = Buffer.alloc(0);
const words = new WordTable(false);
const names = new WordTable(true);
const nsPerMs = 1e6;

export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

const noView = viewOf(nothing);

/** A message that is at least this part of the memory it points into is left there by detach. */
const detachedShare = 2;

type HttpVersion = '0.9' | '1.0' | '1.1';

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
    return this.#isRequest() ? 'request' : 'response';
  }

  override get protocol(): 'pop3' | undefined {
    return this.#view.getUint8(this.#at + at.protocol) === 1 ? 'pop3' : undefined;
  }

  override get receiver(): Endpoint {
    return this.#endpoint(at.receiverIp, at.receiverPort);
  }

  override get destination(): Endpoint {
    return this.#endpoint(at.destinationIp, at.destinationPort);
  }

  override get method(): string | undefined {
    return this.#isRequest() ? this.#firstText() : undefined;
  }

  override get path(): string | undefined {
    return this.#isRequest() && !this.#isPop3() ? this.#secondText() : undefined;
  }

  override get argument(): string | undefined {
    return this.#isRequest() && this.#isPop3() ? this.#secondText() : undefined;
  }

  override get statusCode(): number | undefined {
    const status = this.#view.getUint16(this.#at + at.status, true);
    return status === 0 ? undefined : status;
  }

  override get status(): '+OK' | '-ERR' | '+' | undefined {
    if (this.#isRequest() || !this.#isPop3()) return undefined;
    return this.#firstText() as '+OK' | '-ERR' | '+';
  }

  override get statusText(): string | undefined {
    return this.#isRequest() ? undefined : this.#secondText();
  }

  override get httpVersion(): HttpVersion | undefined {
    switch (this.#view.getUint8(this.#at + at.httpVersion)) {
      case 0:
        return undefined;
      case 9:
        return '0.9';
      case 10:
        return '1.0';
      default:
        return '1.1';
    }
  }

  override get headers(): Headers {
    this.#headers ??= this.#headersOf(
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
      if (isName(wanted, this.#bytes, begin)) return this.#valueOf(entry);
    }
    // A name that is no UTF-8 is looked up as it is shown.
    return this.#has(flag.textsAreAscii) ? undefined : super.header(name);
  }

  override get bodySize(): number {
    return readU64(this.#view, this.#at + at.bodySize);
  }

  override get bodyTruncated(): true | undefined {
    return this.#has(flag.bodyTruncated) ? true : undefined;
  }

  override get timestamp(): string {
    return timeText(this.#view, this.#at + at.firstByteNs);
  }

  override get durationMs(): number {
    return readI64(this.#view, this.#at + at.durationNs) / nsPerMs;
  }

  override get latencyMs(): number | undefined {
    if (!this.#has(flag.hasLatency)) return undefined;
    return readI64(this.#view, this.#at + at.latencyNs) / nsPerMs;
  }

  override get connectionId(): string {
    return idText(this.#view, this.#at + at.connectionId);
  }

  override get exchange(): number | undefined {
    if (!this.#has(flag.hasExchange)) return undefined;
    return readU64(this.#view, this.#at + at.exchange);
  }

  override get incomplete(): MessageFields['incomplete'] {
    return incompleteWords[this.#view.getUint8(this.#at + at.incomplete)];
  }

  override get headersIncomplete(): true | undefined {
    return this.#has(flag.headersIncomplete) ? true : undefined;
  }

  override get afterGap(): true | undefined {
    return this.#has(flag.afterGap) ? true : undefined;
  }

  override get bodyEncoding(): MessageFields['bodyEncoding'] {
    const kind = this.#bodyKind();
    return kind === bodyKind.bytes ? 'base64' : kind === bodyKind.leftOut ? 'binary' : undefined;
  }

  override get body(): string | undefined {
    const kind = this.#bodyKind();
    if (kind !== bodyKind.text && kind !== bodyKind.bytes) return undefined;
    const begin = this.#at + this.#u32(at.body);
    const end = begin + this.#u32(at.body + 4);
    if (kind === bodyKind.text) return this.#bytes.utf8Slice(begin, end);
    return this.#bytes.toString('base64', begin, end);
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
    return this.#allFields();
  }

  /** Of the record of an exchange: the request's first byte to the response's last. */
  get totalMs(): number | undefined {
    if (!this.#has(flag.hasTotal)) return undefined;
    return readI64(this.#view, this.#at + at.durationNs) / nsPerMs;
  }

  /** Of the record of an exchange. */
  get orphanCause(): ExchangeFields['orphanCause'] {
    const word = incompleteWords[this.#view.getUint8(this.#at + at.orphanCause)];
    return word as ExchangeFields['orphanCause'];
  }

  /** Of the record of an exchange: what its line says beside its messages, in the line's order. */
  fieldsOfExchange(orphan: ExchangeFields['orphan']): Record<string, unknown> {
    const out: Record<string, unknown> = { timestamp: this.timestamp };
    const latin1: string[] = [];
    const hasParts = this.#u32(at.parts + 4) !== 0;
    this.#addIdentity(out, hasParts, false);
    const { latencyMs, totalMs, orphanCause } = this;
    if (latencyMs !== undefined) out.latencyMs = latencyMs;
    if (totalMs !== undefined) out.totalMs = totalMs;
    if (orphan !== undefined) out.orphan = orphan;
    if (orphanCause !== undefined) out.orphanCause = orphanCause;
    if (hasParts) this.#addOfConnection(out, latin1);
    if (latin1.length > 0) out.latin1 = latin1;
    return out;
  }

  /** As it stands in the line of its exchange, which has what is said once of all its messages. */
  fieldsInExchange(isInterim: boolean, interfaceOfRequests: unknown): Record<string, unknown> {
    const out: Record<string, unknown> = this.#isRequest() ? {} : { timestamp: this.timestamp };
    const latin1: string[] = [];
    const hasParts = this.#u32(at.parts + 4) !== 0;
    this.#addHead(out, latin1, hasParts);
    this.#addMeasures(out, hasParts, isInterim);
    if (hasParts) {
      this.#addInterface(out, latin1, interfaceOfRequests);
      this.#addFrames(out);
    }
    this.#addBody(out, latin1);
    return out;
  }

  override detach(): Message {
    if (this.#bytes.buffer.byteLength <= detachedShare * this.#size) {
      if (!this.#isReused) return this;
      return new PackedMessage().moveTo(this.#view, this.#bytes, this.#at, this.#size);
    }
    const bytes = Buffer.allocUnsafeSlow(this.#size);
    this.#bytes.copy(bytes, 0, this.#at, this.#at + this.#size);
    return new PackedMessage().moveTo(viewOf(bytes), bytes, 0, this.#size);
  }

  protected override fields(): MessageFields {
    this.#all ??= this.#allFields();
    return this.#all;
  }

  #u32(offset: number): number {
    return this.#view.getUint32(this.#at + offset, true);
  }

  #has(bit: number): boolean {
    return (this.#view.getUint32(this.#at + at.flags, true) & bit) !== 0;
  }

  #isRequest(): boolean {
    return this.#view.getUint8(this.#at + at.direction) === 0;
  }

  #isPop3(): boolean {
    return this.#view.getUint8(this.#at + at.protocol) === 1;
  }

  #bodyKind(): number {
    return this.#view.getUint8(this.#at + at.bodyKind);
  }

  #endpoint(ip: number, port: number): Endpoint {
    return {
      ip: ipText(this.#view, this.#at + ip, this.#has(flag.mappedOnWire)),
      port: this.#view.getUint16(this.#at + port, true),
    };
  }

  #text(offset: number, length: number, isLatin1: boolean): string {
    const begin = this.#at + offset;
    if (isLatin1 || this.#has(flag.textsAreAscii)) {
      return this.#bytes.latin1Slice(begin, begin + length);
    }
    return this.#bytes.utf8Slice(begin, begin + length);
  }

  #firstText(): string {
    const offset = this.#u32(at.firstText);
    const length = this.#u32(at.firstText + 4);
    if (this.#has(flag.textsAreAscii)) {
      return words.textOf(this.#bytes, this.#at + offset, length);
    }
    return this.#text(offset, length, this.#has(flag.firstTextIsLatin1));
  }

  #secondText(): string {
    const offset = this.#u32(at.secondText);
    const length = this.#u32(at.secondText + 4);
    if (!this.#isRequest() && this.#has(flag.textsAreAscii)) {
      return words.textOf(this.#bytes, this.#at + offset, length);
    }
    return this.#text(offset, length, this.#has(flag.secondTextIsLatin1));
  }

  /** The name of a field, in lower case. */
  #nameOf(entry: number): string {
    const offset = this.#view.getUint32(entry, true);
    const length = this.#view.getUint32(entry + 4, true);
    if (this.#has(flag.textsAreAscii)) {
      return names.textOf(this.#bytes, this.#at + offset, length);
    }
    return asciiLower(this.#text(offset, length, this.#isLatin1(entry)));
  }

  #isLatin1(entry: number): boolean {
    return (this.#view.getUint32(entry + 12, true) & valueIsLatin1) !== 0;
  }

  #rawValueOf(entry: number): string {
    const length = this.#view.getUint32(entry + 12, true);
    const offset = this.#view.getUint32(entry + 8, true);
    return this.#text(offset, length & valueLengthMask, (length & valueIsLatin1) !== 0);
  }

  #valueOf(entry: number): string {
    const value = this.#rawValueOf(entry);
    const isFolded = (this.#view.getUint32(entry + 12, true) & valueIsFolded) !== 0;
    return isFolded ? unfolded(value) : value;
  }

  #headersOf(
    offset: number,
    count: number,
    group: 'headers' | 'trailers',
    latin1: string[] | undefined,
  ): Headers {
    const headers: Headers = Object.create(null);
    const list = this.#at + offset;
    for (let entry = list; entry < list + count * fieldSize; entry += fieldSize) {
      const name = this.#nameOf(entry);
      const value = this.#valueOf(entry);
      const known = headers[name];
      if (known === undefined) {
        headers[name] = value;
        if (latin1 !== undefined && this.#isLatin1(entry)) latin1.push(`${group}.${name}`);
      } else if (Array.isArray(known)) {
        known.push(value);
      } else {
        headers[name] = [known, value];
      }
    }
    return headers;
  }

  /** Where a part begins, and its length; undefined: there is none. */
  #part(tag: number): { offset: number; length: number } | undefined {
    const list = this.#at + this.#u32(at.parts);
    for (let i = this.#u32(at.parts + 4); i > 0; i -= 1) {
      const entry = list + 16 * (i - 1);
      if (this.#view.getUint32(entry, true) !== tag) continue;
      return {
        offset: this.#view.getUint32(entry + 4, true),
        length: this.#view.getUint32(entry + 8, true),
      };
    }
    return undefined;
  }

  /** All fields in the order of a line. */
  #allFields(): MessageFields {
    const out: Record<string, unknown> = { timestamp: this.timestamp };
    const latin1: string[] = [];
    const hasParts = this.#u32(at.parts + 4) !== 0;
    this.#addIdentity(out, hasParts, true);
    this.#addHead(out, latin1, hasParts);
    this.#addMeasures(out, hasParts, true);
    if (hasParts) this.#addExtended(out, latin1);
    this.#addBody(out, latin1);
    return out as unknown as MessageFields;
  }

  #addBody(out: Record<string, unknown>, latin1: string[]): void {
    if (latin1.length > 0) out.latin1 = latin1;
    const { bodyEncoding, body } = this;
    if (bodyEncoding !== undefined) out.bodyEncoding = bodyEncoding;
    if (body !== undefined) out.body = body;
  }

  #addIdentity(out: Record<string, unknown>, hasParts: boolean, isMessage: boolean): void {
    out.connectionId = this.connectionId;
    if (this.#has(flag.hasExchange)) out.exchange = this.exchange;
    if (isMessage) out.direction = this.direction;
    out.receiver = this.receiver;
    out.destination = this.destination;
    if (hasParts) {
      const proxied = this.#proxied();
      if (proxied !== undefined) out.proxied = proxied;
      const client = this.#part(part.client);
      if (client !== undefined) out.client = ipText(this.#view, this.#at + client.offset, false);
    }
    if (this.#isPop3()) out.protocol = 'pop3';
  }

  #addHead(out: Record<string, unknown>, latin1: string[], hasParts: boolean): void {
    const isPop3 = this.#isPop3();
    if (this.#isRequest()) {
      out.method = this.#firstText();
      if (this.#has(flag.firstTextIsLatin1)) latin1.push('method');
      const name = isPop3 ? 'argument' : 'path';
      out[name] = this.#secondText();
      if (this.#has(flag.secondTextIsLatin1)) latin1.push(name);
    } else {
      if (isPop3) out.status = this.#firstText();
      else if (this.statusCode !== undefined) out.statusCode = this.statusCode;
      out.statusText = this.#secondText();
      if (this.#has(flag.secondTextIsLatin1)) latin1.push('statusText');
    }
    if (isPop3) return;
    out.httpVersion = this.httpVersion;
    const isAscii = this.#has(flag.textsAreAscii);
    const offset = this.#u32(at.headers);
    const count = this.#u32(at.headers + 4);
    out.headers = this.#headersOf(offset, count, 'headers', isAscii ? undefined : latin1);
    if (this.#has(flag.rawHeaders)) {
      out.rawHeaders = Array.from({ length: count }, (_, i) => {
        const entry = this.#at + offset + i * fieldSize;
        const name = this.#view.getUint32(entry, true);
        const length = this.#view.getUint32(entry + 4, true);
        return [this.#text(name, length, this.#isLatin1(entry)), this.#rawValueOf(entry)];
      });
    }
    const trailers = hasParts ? this.#part(part.trailers) : undefined;
    if (trailers === undefined) return;
    const fields = Math.floor(trailers.length / fieldSize);
    out.trailers = this.#headersOf(trailers.offset, fields, 'trailers', latin1);
  }

  #addMeasures(out: Record<string, unknown>, hasParts: boolean, hasLatency: boolean): void {
    out.bodySize = this.bodySize;
    if (this.#has(flag.bodyTruncated)) out.bodyTruncated = true;
    if (this.#has(flag.bodyWithheld)) out.bodyRedacted = 'unreadable';
    const decoded = hasParts ? this.#part(part.contentDecoded) : undefined;
    if (decoded !== undefined) {
      out.contentDecoded = this.#text(decoded.offset, decoded.length, true);
    }
    const error = decodeErrorWords[this.#view.getUint8(this.#at + at.contentDecodeError)];
    if (error !== undefined) out.contentDecodeError = error;
    out.durationMs = this.durationMs;
    if (hasLatency && this.#has(flag.hasLatency)) out.latencyMs = this.latencyMs;
    const { incomplete } = this;
    if (incomplete !== undefined) out.incomplete = incomplete;
    const losses = hasParts ? this.#part(part.losses) : undefined;
    if (losses !== undefined) this.#addLosses(out, this.#at + losses.offset, losses.length);
    if (this.#has(flag.headersIncomplete)) out.headersIncomplete = true;
    if (this.#has(flag.afterGap)) out.afterGap = true;
    const anomalies = this.#u32(at.anomalies);
    if (anomalies !== 0) {
      out.anomalies = anomalyWords.filter((_, bit) => (anomalies >>> bit) & 1);
    }
  }

  #addLosses(out: Record<string, unknown>, begin: number, length: number): void {
    const missing = readU64(this.#view, begin);
    if (missing !== 0) out.missingBytes = missing;
    const gaps: [number, number][] = [];
    for (let gap = begin + 8; gap + 16 <= begin + length; gap += 16) {
      gaps.push([readU64(this.#view, gap), readU64(this.#view, gap + 8)]);
    }
    if (gaps.length > 0) out.bodyGaps = gaps;
  }

  #addExtended(out: Record<string, unknown>, latin1: string[]): void {
    this.#addInterface(out, latin1);
    this.#addFrames(out);
    this.#addNetwork(out);
  }

  #addOfConnection(out: Record<string, unknown>, latin1: string[]): void {
    this.#addInterface(out, latin1);
    this.#addNetwork(out);
  }

  #addInterface(out: Record<string, unknown>, latin1: string[], except?: unknown): void {
    const link = this.#part(part.interface);
    if (link === undefined) return;
    const isLatin1 = this.#has(flag.interfaceIsLatin1);
    const begin = this.#at + link.offset;
    const end = begin + link.length;
    const name = isLatin1 ? this.#bytes.latin1Slice(begin, end) : this.#bytes.utf8Slice(begin, end);
    if (name === except) return;
    out.interface = name;
    if (isLatin1) latin1.push('interface');
  }

  #addFrames(out: Record<string, unknown>): void {
    const extended = this.#part(part.extended);
    if (extended === undefined) return;
    const begin = this.#at + extended.offset;
    const firstFrame = readU64(this.#view, begin);
    if (firstFrame !== 0) {
      out.firstFrame = firstFrame;
      out.lastFrame = readU64(this.#view, begin + 8);
    }
    out.headersSize = this.#view.getUint32(begin + 24, true);
  }

  #addNetwork(out: Record<string, unknown>): void {
    const extended = this.#part(part.extended);
    if (extended === undefined) return;
    const begin = this.#at + extended.offset;
    const vlan = this.#view.getUint16(begin + 28, true);
    if (vlan !== 0) out.vlan = vlan;
    out.communityId = this.#bytes.latin1Slice(begin + 30, begin + 60);
    const connectNs = readI64(this.#view, begin + 16);
    if (connectNs >= 0) out.connectMs = connectNs / nsPerMs;
  }

  #proxied(): Proxied | undefined {
    const place = this.#part(part.proxied);
    if (place === undefined) return undefined;
    const view = this.#view;
    const begin = this.#at + place.offset;
    const flags = view.getUint8(begin + 36);
    const source = {
      ip: ipText(view, begin, (flags & 2) !== 0),
      port: view.getUint16(begin + 32, true),
    };
    const destination = {
      ip: ipText(view, begin + 16, (flags & 4) !== 0),
      port: view.getUint16(begin + 34, true),
    };
    return (flags & 1) !== 0 ? { source, destination, tls: true } : { source, destination };
  }
}
