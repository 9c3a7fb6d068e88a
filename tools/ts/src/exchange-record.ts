import { type InspectOptions, inspect } from 'node:util';
import type {
  ExchangeFields,
  ExchangeRequest,
  ExchangeResponse,
  Headers,
  MessageFields,
} from './generated.js';
import { Message } from './message.js';
import type { Exchange, OrphanReason } from './pair.js';

const noBytes = Buffer.alloc(0);

function headersWithoutPrototype(part: ExchangeRequest | ExchangeResponse): void {
  for (const headers of [part.headers, part.trailers]) {
    if (headers !== undefined) Object.setPrototypeOf(headers, null) as Headers;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function partsOf({ request, interim = [], response }: ExchangeFields) {
  return [request, ...interim, response].filter((part) => part !== undefined);
}

/** Reads one line of `records: exchange`; throws SyntaxError or TypeError when it is none. */
function parseExchange(json: Buffer): ExchangeFields {
  const fields: unknown = JSON.parse(json.toString('utf8'));
  const known =
    isObject(fields) &&
    typeof fields.connectionId === 'string' &&
    (fields.interim === undefined || Array.isArray(fields.interim));
  if (!known) throw new TypeError('not an exchange');
  const exchange = fields as unknown as ExchangeFields;
  const parts = partsOf(exchange);
  if (parts.length === 0 || !parts.every(isObject)) throw new TypeError('not an exchange');
  for (const part of parts) headersWithoutPrototype(part);
  return exchange;
}

/** A message of an exchange's line: what the line says once and what is the message's own. */
function messageFieldsOf(
  line: ExchangeFields,
  part: ExchangeRequest | ExchangeResponse,
  direction: 'request' | 'response',
): MessageFields {
  const {
    request: _request,
    interim: _interim,
    response: _response,
    orphan: _orphan,
    orphanCause: _orphanCause,
    totalMs: _totalMs,
    latencyMs,
    ...shared
  } = line;
  const { bodyBytes: _bodyBytes, ...own } = part;
  const isFinal = part === line.response;
  return {
    ...shared,
    direction,
    ...(isFinal && latencyMs !== undefined ? { latencyMs } : {}),
    ...own,
  } as unknown as MessageFields;
}

/** The messages of an exchange as a plain object: a line with `records: exchange`, parsed. */
export function exchangeOfFields(fields: ExchangeFields): Exchange<MessageFields> {
  const { connectionId, exchange, request, interim = [], response } = fields;
  return {
    connectionId,
    exchange,
    request: request && messageFieldsOf(fields, request, 'request'),
    interim: interim.map((part) => messageFieldsOf(fields, part, 'response')),
    response: response && messageFieldsOf(fields, response, 'response'),
    ...orphanOf(fields),
  };
}

function orphanOf(fields: ExchangeFields) {
  const { request, response, orphan, orphanCause } = fields;
  // POP3's greeting answers nothing and is a response alone nevertheless.
  const alone = request === undefined ? 'response' : response === undefined ? 'request' : undefined;
  return {
    orphan: alone as Exchange['orphan'],
    orphanReason: orphan as OrphanReason | undefined,
    orphanCause,
  };
}

/** A message of an exchange. It has no bytes of its own in the engine's output. */
class ExchangeMessage extends Message {
  readonly #own: MessageFields;

  constructor(fields: MessageFields, frameBody: Buffer | undefined) {
    super(noBytes, frameBody);
    this.#own = fields;
  }

  protected override fields(): MessageFields {
    return this.#own;
  }

  override get raw(): Buffer {
    return Buffer.from(JSON.stringify(this.#own));
  }

  override get byteLength(): number {
    return this.raw.length + super.byteLength;
  }

  override toLine(): Buffer {
    return Buffer.from(JSON.stringify(this.toJSON()));
  }

  override detach(): Message {
    return Message.from(this.toJSON());
  }
}

/** The bytes that belong to a body in the framed form. */
function bodyBytesOf(part: ExchangeRequest | ExchangeResponse | undefined): number {
  const size: unknown = part?.bodyBytes ?? 0;
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw new TypeError('not an exchange');
  return size as number;
}

function withBody<P extends ExchangeRequest | ExchangeResponse>(part: P, body: Buffer): P {
  const { bodyBytes: _bodyBytes, bodyEncoding, ...rest } = part;
  if (bodyEncoding === 'binary') {
    return { ...rest, body: body.toString('base64'), bodyEncoding: 'base64' } as P;
  }
  return (bodyEncoding === undefined ? rest : { ...rest, body: body.toString('utf8') }) as P;
}

/**
 * One exchange of an engine that runs with `records: exchange`: a view on the bytes of its line,
 * parsed when a field is first read. As with a Message, fields are getters; `toJSON()` gives a plain
 * object, and `detach()` a copy to keep.
 */
export class ExchangeRecord implements Exchange<Message> {
  readonly #json: Buffer;
  readonly #bodies: Buffer | undefined;
  #fields: ExchangeFields | undefined;
  #request: Message | undefined;
  #interim: Message[] | undefined;
  #response: Message | undefined;

  /** `bodies`: in the framed form the bytes of the request's body and of the response's. */
  constructor(json: Buffer, bodies?: Buffer) {
    this.#json = json;
    this.#bodies = bodies;
  }

  /** Parses now; throws when the bytes are no exchange. */
  parse(): void {
    this.#read();
  }

  /** The JSON as the engine wrote it, without the line end. */
  get raw(): Buffer {
    return this.#json;
  }

  /** Bytes that this exchange holds: JSON and framed bodies. */
  get byteLength(): number {
    return this.#json.length + (this.#bodies?.length ?? 0);
  }

  get timestamp(): string {
    return this.#read().timestamp;
  }

  get connectionId(): string {
    return this.#read().connectionId;
  }

  get exchange(): number | undefined {
    return this.#read().exchange;
  }

  /** Absent for HTTP. */
  get protocol(): 'pop3' | undefined {
    return this.#read().protocol;
  }

  /** The request's last byte to the response's first. May be negative. */
  get latencyMs(): number | undefined {
    return this.#read().latencyMs;
  }

  /** The request's first byte to the response's last. */
  get totalMs(): number | undefined {
    return this.#read().totalMs;
  }

  get orphan(): Exchange['orphan'] {
    return orphanOf(this.#read()).orphan;
  }

  get orphanReason(): OrphanReason | undefined {
    return orphanOf(this.#read()).orphanReason;
  }

  get orphanCause(): Exchange['orphanCause'] {
    return this.#read().orphanCause;
  }

  get request(): Message | undefined {
    const { request } = this.#read();
    if (request === undefined) return undefined;
    this.#request ??= this.#message(request, 'request', this.#bodyOfRequest());
    return this.#request;
  }

  /** Interim responses (1xx), in order. */
  get interim(): Message[] {
    this.#interim ??= (this.#read().interim ?? []).map((part) =>
      this.#message(part, 'response', this.#bodies && noBytes),
    );
    return this.#interim;
  }

  get response(): Message | undefined {
    const { response } = this.#read();
    if (response === undefined) return undefined;
    this.#response ??= this.#message(response, 'response', this.#bodyOfResponse());
    return this.#response;
  }

  /** A plain object with the fields of an NDJSON line, whatever form the exchange came in. */
  toJSON(): ExchangeFields {
    const fields = this.#read();
    if (this.#bodies === undefined) return { ...fields };
    const { request, response } = fields;
    return {
      ...fields,
      ...(request && { request: withBody(request, this.#bodyOfRequest() ?? noBytes) }),
      ...(response && { response: withBody(response, this.#bodyOfResponse() ?? noBytes) }),
    } as ExchangeFields;
  }

  /** The same exchange on memory of its own, to be kept for long. */
  detach(): ExchangeRecord {
    const copy = new ExchangeRecord(
      Buffer.from(this.#json),
      this.#bodies === undefined ? undefined : Buffer.from(this.#bodies),
    );
    copy.#fields = this.#fields;
    return copy;
  }

  /** One line of NDJSON without its end: the engine's bytes where it wrote a line. */
  toLine(): Buffer {
    if (this.#bodies === undefined) return this.#json;
    return Buffer.from(JSON.stringify(this.toJSON()));
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `ExchangeRecord ${inspect(this.toJSON(), options)}`;
  }

  #read(): ExchangeFields {
    if (this.#fields === undefined) {
      const fields = parseExchange(this.#json);
      const bodies = bodyBytesOf(fields.request) + bodyBytesOf(fields.response);
      if (this.#bodies !== undefined && bodies !== this.#bodies.length) {
        throw new TypeError('not an exchange');
      }
      this.#fields = fields;
    }
    return this.#fields;
  }

  #message(
    part: ExchangeRequest | ExchangeResponse,
    direction: 'request' | 'response',
    body: Buffer | undefined,
  ): Message {
    return new ExchangeMessage(messageFieldsOf(this.#read(), part, direction), body);
  }

  #bodyOfRequest(): Buffer | undefined {
    return this.#bodies?.subarray(0, bodyBytesOf(this.#read().request));
  }

  #bodyOfResponse(): Buffer | undefined {
    return this.#bodies?.subarray(bodyBytesOf(this.#read().request));
  }
}
