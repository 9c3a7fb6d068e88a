import { type InspectOptions, inspect } from 'node:util';
import { type Headers, type MessageFields, MessageView } from './generated.js';
import { asciiLower } from './packed-text.js';

/** A message that is at least this part of the memory it points into is left there by detach. */
const detachedShare = 2;

const noBody = Buffer.alloc(0);
const noHeaders: Headers = Object.freeze(Object.create(null));

/** The same object with a null prototype, so that a header named `constructor` or `__proto__` is a
 * header and nothing else. JSON.parse makes `__proto__` an own property. */
function withoutPrototype(headers: Headers): Headers {
  return Object.setPrototypeOf(headers, null) as Headers;
}

/** Reads one JSON object of the engine; throws SyntaxError or TypeError when it is none. */
export function parseFields(json: Buffer): MessageFields {
  const fields = JSON.parse(json.toString('utf8')) as MessageFields;
  if (typeof fields !== 'object' || fields === null) throw new TypeError('not a message');
  if (typeof fields.headers === 'object') {
    withoutPrototype(fields.headers);
  } else if (fields.protocol === undefined && !Object.hasOwn(fields, 'part')) {
    throw new TypeError('not a message');
  }
  if (fields.trailers !== undefined) withoutPrototype(fields.trailers);
  return fields;
}

/**
 * One message: a view on the bytes that the engine wrote, parsed when a field is first read.
 *
 * The fields are getters, so `{ ...message }` copies nothing: `toJSON()` gives a plain object (and
 * is what JSON.stringify uses). `raw` and `bodyBuffer` are parts of the buffer that was read, 1 or
 * 4 MiB, which stays in memory as long as the message does. To keep many messages, keep
 * `toJSON()` instead, or copy what is needed.
 *
 * Of the engine's forms: in packed records, the default, it is a PackedMessage, which parses
 * nothing. In NDJSON `raw` is the whole line and the body is part of it. In the framed form `raw` is the
 * JSON object without the body, and the body's bytes stand in `bodyBuffer` untouched.
 */
export class Message extends MessageView {
  readonly #json: Buffer;
  readonly #frameBody: Buffer | undefined;
  #fields: MessageFields | undefined;

  constructor(json: Buffer, frameBody?: Buffer) {
    super();
    this.#json = json;
    this.#frameBody = frameBody;
  }

  /** A message from a plain object, for example a line of a file that was parsed elsewhere. */
  static from(fields: MessageFields): Message {
    return new Message(Buffer.from(JSON.stringify(fields)));
  }

  protected override fields(): MessageFields {
    this.#fields ??= parseFields(this.#json);
    return this.#fields;
  }

  /** Parses now; throws when the bytes are no message. */
  parse(): void {
    this.fields();
  }

  /** The JSON as the engine wrote it, without the line end. */
  get raw(): Buffer {
    return this.#json;
  }

  /** Bytes that this message holds: JSON and framed body. */
  get byteLength(): number {
    return this.#json.length + (this.#frameBody?.length ?? 0);
  }

  /** A POP3 message and a later part of a message have none: an empty object. */
  override get headers(): Headers {
    return this.fields().headers ?? noHeaders;
  }

  /** The first value of a header; the name in any case. */
  header(name: string): string | undefined {
    const { headers } = this;
    const key = asciiLower(name);
    const value = Object.hasOwn(headers, key) ? headers[key] : undefined;
    return Array.isArray(value) ? value[0] : value;
  }

  get bodyEncoding(): MessageFields['bodyEncoding'] {
    return this.fields().bodyEncoding;
  }

  /** The body as text: the decoded UTF-8, or base64 where `bodyEncoding` says so. Undefined for a
   * binary body that was left out, and for one that came framed (see `bodyBuffer`). */
  get body(): string | undefined {
    if (this.#frameBody === undefined) return this.fields().body;
    const fields = this.fields();
    if (fields.bodyEncoding === 'binary') return undefined;
    if (fields.bodyEncoding === undefined && this.#frameBody.length === 0) return undefined;
    fields.body ??= this.#frameBody.toString('utf8');
    return fields.body;
  }

  /** The kept bytes of the body; empty when there are none, or when they were left out. */
  get bodyBuffer(): Buffer {
    if (this.#frameBody !== undefined) return this.#frameBody;
    const { body, bodyEncoding } = this.fields();
    if (body === undefined) return noBody;
    return Buffer.from(body, bodyEncoding === 'base64' ? 'base64' : 'utf8');
  }

  /** A plain object with the fields of an NDJSON line, whatever form the message came in. */
  toJSON(): MessageFields {
    const fields = this.fields();
    if (this.#frameBody === undefined) return { ...fields };
    const { bodyEncoding, body: _cached, ...rest } = fields;
    if (bodyEncoding === 'binary') {
      return { ...rest, body: this.#frameBody.toString('base64'), bodyEncoding: 'base64' };
    }
    if (bodyEncoding === undefined) return rest;
    return { ...rest, body: this.#frameBody.toString('utf8') };
  }

  /** The same message on memory of its own, to be kept for long. */
  detach(): Message {
    const shared = this.#json.buffer.byteLength;
    if (shared <= detachedShare * this.byteLength) return this;
    const body = this.#frameBody === undefined ? undefined : Buffer.from(this.#frameBody);
    const copy = new Message(Buffer.from(this.#json), body);
    copy.#fields = this.#fields;
    return copy;
  }

  /** One line of NDJSON without its end: the engine's bytes where it wrote a line. */
  toLine(): Buffer {
    if (this.#frameBody === undefined) return this.#json;
    return Buffer.from(JSON.stringify(this.toJSON()));
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Message ${inspect(this.toJSON(), options)}`;
  }
}

/** What the functions of this package read: a Message, or its fields as a plain object. */
export type MessageLike = Message | MessageFields;

/** The first value of a header, whose name is in lower case. */
export function headerOf(message: MessageLike, name: string): string | undefined {
  if (message instanceof Message) return message.header(name);
  const { headers } = message;
  if (headers === undefined || !Object.hasOwn(headers, name)) return undefined;
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** All values of a header, in order. */
export function headerValues(message: MessageLike, name: string): string[] {
  const { headers } = message;
  if (headers === undefined || !Object.hasOwn(headers, name)) return [];
  const value = headers[name];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
