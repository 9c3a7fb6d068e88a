/** HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as browsers' developer tools open it. */
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { headerOf, headerValues, Message, type MessageLike } from '../message.js';
import { pair } from '../pair.js';
import { type ExchangeLike, exchangeOf, hasNoResponse, isHttp, urlOf } from './common.js';

interface NameValue {
  name: string;
  value: string;
}

export interface HarCookie extends NameValue {
  path?: string;
  domain?: string;
  expires?: string;
  httpOnly?: boolean;
  secure?: boolean;
}

export interface HarEntry {
  startedDateTime: string;
  time: number;
  request: {
    method: string;
    url: string;
    httpVersion: string;
    cookies: HarCookie[];
    headers: NameValue[];
    queryString: NameValue[];
    postData?: { mimeType: string; text: string; comment?: string };
    headersSize: number;
    bodySize: number;
  };
  response: {
    status: number;
    statusText: string;
    httpVersion: string;
    cookies: HarCookie[];
    headers: NameValue[];
    content: {
      size: number;
      mimeType: string;
      compression?: number;
      text?: string;
      encoding?: string;
      comment?: string;
    };
    redirectURL: string;
    headersSize: number;
    bodySize: number;
  };
  cache: Record<string, never>;
  timings: {
    blocked: number;
    dns: number;
    connect: number;
    ssl: number;
    send: number;
    wait: number;
    receive: number;
  };
  serverIPAddress: string;
  connection: string;
  comment?: string;
}

export interface Har {
  log: {
    version: '1.2';
    creator: { name: string; version: string };
    entries: HarEntry[];
    comment?: string;
  };
}

export interface HarOptions {
  /** Of the program that makes the log; default: the package's first. */
  creatorVersion?: string;
  /** Bytes of the bodies of one log in all; bodies beyond it are left out and counted. Default
   * 64 MiB. */
  bodyBytesMax?: number;
  /** Bytes that one coded body may become; a larger one is shown as it came. Default 16 MiB. */
  decodedBytesMax?: number;
}

const bodyBytesMaxDefault = 67_108_864;
const decodedBytesMaxDefault = 16_777_216;
const unknownSize = -1;

/** The room that the bodies of one log have. */
export class HarBodies {
  readonly decodedBytesMax: number;
  readonly #bytesMax: number;
  #bytes = 0;
  #leftOut = 0;

  constructor({ bodyBytesMax, decodedBytesMax }: HarOptions = {}) {
    this.#bytesMax = bodyBytesMax ?? bodyBytesMaxDefault;
    this.decodedBytesMax = decodedBytesMax ?? decodedBytesMaxDefault;
  }

  /** Bodies for which there was no room. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Bytes for which there is room. */
  get rest(): number {
    return this.#bytesMax - this.#bytes;
  }

  /** Takes the room of a body; false when there is too little, and the body is left out. */
  take(bytes: number): boolean {
    if (bytes > this.rest) {
      this.#leftOut += 1;
      return false;
    }
    this.#bytes += bytes;
    return true;
  }
}

function headersOf(message: MessageLike): NameValue[] {
  if (message.rawHeaders !== undefined) {
    return message.rawHeaders.map(([name, value]) => ({ name, value }));
  }
  return Object.keys(message.headers ?? {}).flatMap((name) =>
    headerValues(message, name).map((value) => ({ name, value })),
  );
}

/** RFC 6265 section 4.2.1. */
function requestCookies(message: MessageLike): HarCookie[] {
  return headerValues(message, 'cookie')
    .flatMap((value) => value.split(';'))
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(nameAndValue);
}

function nameAndValue(part: string): NameValue {
  const equals = part.indexOf('=');
  if (equals < 0) return { name: '', value: part };
  return { name: part.slice(0, equals).trim(), value: part.slice(equals + 1).trim() };
}

/** RFC 6265 section 4.1.1. */
function responseCookies(message: MessageLike): HarCookie[] {
  return headerValues(message, 'set-cookie').map((line) => {
    const [first = '', ...attributes] = line.split(';');
    const cookie: HarCookie = nameAndValue(first.trim());
    for (const attribute of attributes) {
      const { name, value } = nameAndValue(attribute.trim());
      switch ((name || value).toLowerCase()) {
        case 'path':
          cookie.path = value;
          break;
        case 'domain':
          cookie.domain = value;
          break;
        case 'expires': {
          const time = Date.parse(value);
          if (!Number.isNaN(time)) cookie.expires = new Date(time).toISOString();
          break;
        }
        case 'httponly':
          cookie.httpOnly = true;
          break;
        case 'secure':
          cookie.secure = true;
          break;
      }
    }
    return cookie;
  });
}

/** The kept bytes of a body; undefined when they were left out. */
function bytesOf(message: MessageLike): Buffer | undefined {
  if (message instanceof Message) {
    const bytes = message.bodyBuffer;
    const leftOut = bytes.length === 0 && message.bodySize > 0;
    return leftOut ? undefined : bytes;
  }
  if (message.body === undefined) return undefined;
  return Buffer.from(message.body, message.bodyEncoding === 'base64' ? 'base64' : 'utf8');
}

/** Undoes a content coding that a browser would undo; undefined when it cannot be, or would become
 * more than `maxOutputLength` bytes. */
function decoded(message: MessageLike, bytes: Buffer, maxOutputLength: number): Buffer | undefined {
  const coding = headerValues(message, 'content-encoding').join(',').trim().toLowerCase();
  const whole = !message.bodyTruncated && message.incomplete === undefined;
  if (!whole || bytes.length === 0 || maxOutputLength <= 0) return undefined;
  const limits = { maxOutputLength };
  try {
    if (coding === 'gzip' || coding === 'x-gzip') return gunzipSync(bytes, limits);
    if (coding === 'deflate') return inflateSync(bytes, limits);
    if (coding === 'br') return brotliDecompressSync(bytes, limits);
  } catch {
    // Too much, or not what it says it is: shown as it came.
  }
  return undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Control characters that no text has. JSON writes each as six characters. */
function hasControls(bytes: Buffer): boolean {
  return bytes.some(
    (byte) => byte < 0x20 && !(byte >= 0x09 && byte <= 0x0d && byte !== 0x0b) && byte !== 0x1b,
  );
}

/** The bytes as text, or as base64 when they are none. */
function shownAs(bytes: Buffer): { text: string; encoding?: 'base64' } {
  try {
    if (!hasControls(bytes)) return { text: utf8.decode(bytes) };
  } catch {
    // Not UTF-8.
  }
  return { text: bytes.toString('base64'), encoding: 'base64' };
}

const noRoom = 'the body is left out: the bodies before it fill the room of this log';

function contentOf(response: MessageLike, bodies: HarBodies): HarEntry['response']['content'] {
  const mimeType = headerOf(response, 'content-type') ?? '';
  const bytes = bytesOf(response);
  if (bytes === undefined) {
    return { size: response.bodySize, mimeType, comment: 'the body was not kept' };
  }
  // What the engine decoded is plain already.
  const decodedMax = Math.min(bodies.decodedBytesMax, bodies.rest);
  const plain = response.contentDecoded ? bytes : decoded(response, bytes, decodedMax);
  const shown = plain ?? bytes;
  const content: HarEntry['response']['content'] = {
    size: plain?.length ?? response.bodySize,
    mimeType,
  };
  if (plain !== undefined) content.compression = plain.length - response.bodySize;
  if (shown.length === 0) return content;
  if (!bodies.take(shown.length)) return { ...content, comment: noRoom };
  Object.assign(content, shownAs(shown));
  if (shown.length < content.size) content.comment = `the first ${shown.length} bytes`;
  return content;
}

function requestPart(request: MessageLike, bodies: HarBodies): HarEntry['request'] {
  const url = urlOf(request);
  const bytes = bytesOf(request);
  const part: HarEntry['request'] = {
    method: request.method ?? '',
    url: url.href,
    httpVersion: `HTTP/${request.httpVersion}`,
    cookies: requestCookies(request),
    headers: headersOf(request),
    queryString: [...url.searchParams].map(([name, value]) => ({ name, value })),
    headersSize: request.headersSize ?? unknownSize,
    bodySize: request.bodySize,
  };
  if (bytes !== undefined && bytes.length > 0) {
    const mimeType = headerOf(request, 'content-type') ?? '';
    if (!bodies.take(bytes.length)) {
      part.postData = { mimeType, text: '', comment: noRoom };
    } else {
      const { text, encoding } = shownAs(bytes);
      // HAR has no encoding field here.
      part.postData = { mimeType, text, ...(encoding && { comment: encoding }) };
    }
  }
  return part;
}

function responsePart(response: MessageLike | undefined, bodies: HarBodies): HarEntry['response'] {
  if (response === undefined) {
    return {
      status: 0,
      statusText: '',
      httpVersion: '',
      cookies: [],
      headers: [],
      content: { size: 0, mimeType: '' },
      redirectURL: '',
      headersSize: unknownSize,
      bodySize: unknownSize,
    };
  }
  return {
    status: response.statusCode ?? 0,
    statusText: response.statusText ?? '',
    httpVersion: `HTTP/${response.httpVersion}`,
    cookies: responseCookies(response),
    headers: headersOf(response),
    content: contentOf(response, bodies),
    redirectURL: headerOf(response, 'location') ?? '',
    headersSize: response.headersSize ?? unknownSize,
    bodySize: response.bodySize,
  };
}

function rounded(milliseconds: number): number {
  return Math.round(Math.max(0, milliseconds) * 1000) / 1000;
}

/** One exchange as an entry. It needs its request; a missing response is status 0, as browsers
 * write it. */
export function toHarEntry(like: ExchangeLike, bodies: HarBodies = new HarBodies()): HarEntry {
  const exchange = exchangeOf(like);
  const { request, response } = exchange;
  if (request === undefined) throw new TypeError('a HAR entry needs a request');
  if (!isHttp(exchange)) throw new TypeError(`an exchange of ${request.protocol}, not of HTTP`);
  const connect = request.connectMs ?? response?.connectMs;
  const timings = {
    blocked: unknownSize,
    dns: unknownSize,
    connect: exchange.exchange === 0 && connect !== undefined ? rounded(connect) : unknownSize,
    ssl: unknownSize,
    send: rounded(request.durationMs ?? 0),
    wait: rounded(response?.latencyMs ?? 0),
    receive: rounded(response?.durationMs ?? 0),
  };
  const parts = [timings.connect, timings.send, timings.wait, timings.receive];
  const entry: HarEntry = {
    startedDateTime: request.timestamp,
    time: rounded(parts.reduce((sum, part) => sum + Math.max(0, part), 0)),
    request: requestPart(request, bodies),
    response: responsePart(response, bodies),
    cache: {},
    timings,
    serverIPAddress: request.receiver.ip,
    connection: exchange.connectionId,
  };
  const faults = [
    request.incomplete && `request incomplete: ${request.incomplete}`,
    response?.incomplete && `response incomplete: ${response.incomplete}`,
    response === undefined &&
      (hasNoResponse(exchange) ? 'the server sent no response' : 'no response was captured'),
  ].filter((fault) => fault);
  if (faults.length > 0) entry.comment = faults.join('; ');
  return entry;
}

/** What the log's comment says of what is not in it. */
export function harComment(orphans: number, bodies: HarBodies): { comment?: string } {
  const parts = [
    orphans > 0 && `${orphans} responses whose request is not known are left out`,
    bodies.leftOut > 0 &&
      `${bodies.leftOut} bodies are left out because there was no room for them`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? {} : { comment: parts.join('; ') };
}

/**
 * Messages, or exchanges, as a HAR; those of other protocols are left out. Responses whose request
 * is not known have no place in one, and bodies beyond `bodyBytesMax` no room: the log's comment
 * says how many there were of each.
 */
export function toHar(
  messages: Iterable<MessageLike> | Iterable<ExchangeLike>,
  options: string | HarOptions = {},
): Har {
  const { creatorVersion = '0.1.0', ...limits }: HarOptions =
    typeof options === 'string' ? { creatorVersion: options } : options;
  const bodies = new HarBodies(limits);
  const given = [...messages];
  const isMessages = given.length > 0 && 'direction' in (given[0] as object);
  const all = isMessages ? pair(given as MessageLike[]) : (given as ExchangeLike[]).map(exchangeOf);
  const exchanges = all.filter(isHttp);
  const entries = exchanges
    .filter((exchange) => exchange.request !== undefined)
    .map((exchange) => toHarEntry(exchange, bodies))
    .sort((a, b) => (a.startedDateTime < b.startedDateTime ? -1 : 1));
  return {
    log: {
      version: '1.2',
      creator: { name: 'tcp-sniffer', version: creatorVersion },
      entries,
      ...harComment(exchanges.length - entries.length, bodies),
    },
  };
}
