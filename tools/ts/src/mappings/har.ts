/** HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as browsers' developer tools open it. */
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { headerOf, headerValues, Message, type MessageLike } from '../message.js';
import { type Exchange, pair } from '../pair.js';
import { isHttp, urlOf } from './common.js';

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

/** More than this a coded body is not allowed to become. */
const decodedBytesMax = 67_108_864;
const unknownSize = -1;

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

/** Undoes a content coding that a browser would undo; undefined when it cannot be. */
function decoded(message: MessageLike, bytes: Buffer): Buffer | undefined {
  const coding = headerValues(message, 'content-encoding').join(',').trim().toLowerCase();
  const whole = !message.bodyTruncated && message.incomplete === undefined;
  if (!whole || bytes.length === 0) return undefined;
  const limits = { maxOutputLength: decodedBytesMax };
  try {
    if (coding === 'gzip' || coding === 'x-gzip') return gunzipSync(bytes, limits);
    if (coding === 'deflate') return inflateSync(bytes, limits);
    if (coding === 'br') return brotliDecompressSync(bytes, limits);
  } catch {
    // Not what it says it is: shown as it came.
  }
  return undefined;
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}

function contentOf(response: MessageLike): HarEntry['response']['content'] {
  const mimeType = headerOf(response, 'content-type') ?? '';
  const bytes = bytesOf(response);
  if (bytes === undefined) {
    return { size: response.bodySize, mimeType, comment: 'the body was not kept' };
  }
  // What the engine decoded is plain already.
  const plain = response.contentDecoded ? bytes : decoded(response, bytes);
  const shown = plain ?? bytes;
  const content: HarEntry['response']['content'] = {
    size: plain?.length ?? response.bodySize,
    mimeType,
  };
  if (plain !== undefined) content.compression = plain.length - response.bodySize;
  if (shown.length === 0) return content;
  if (isText(shown)) {
    content.text = shown.toString('utf8');
  } else {
    content.text = shown.toString('base64');
    content.encoding = 'base64';
  }
  if (shown.length < content.size) content.comment = `the first ${shown.length} bytes`;
  return content;
}

function requestPart(request: MessageLike): HarEntry['request'] {
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
    const text = isText(bytes);
    part.postData = {
      mimeType: headerOf(request, 'content-type') ?? '',
      text: bytes.toString(text ? 'utf8' : 'base64'),
    };
    // HAR has no encoding field here.
    if (!text) part.postData.comment = 'base64';
  }
  return part;
}

function responsePart(response: MessageLike | undefined): HarEntry['response'] {
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
    content: contentOf(response),
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
export function toHarEntry(exchange: Exchange): HarEntry {
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
    request: requestPart(request),
    response: responsePart(response),
    cache: {},
    timings,
    serverIPAddress: request.receiver.ip,
    connection: exchange.connectionId,
  };
  const faults = [
    request.incomplete && `request incomplete: ${request.incomplete}`,
    response?.incomplete && `response incomplete: ${response.incomplete}`,
    response === undefined && 'no response was captured',
  ].filter((fault) => fault);
  if (faults.length > 0) entry.comment = faults.join('; ');
  return entry;
}

/** Messages, or exchanges, as a HAR; those of other protocols are left out. Responses whose request is not known have no place in one:
 * the log's comment says how many there were. */
export function toHar(
  messages: Iterable<MessageLike> | Iterable<Exchange>,
  creatorVersion = '0.1.0',
): Har {
  const given = [...messages];
  const isExchanges = given.length > 0 && 'interim' in (given[0] as object);
  const all = isExchanges ? (given as Exchange[]) : pair(given as MessageLike[]);
  const exchanges = all.filter(isHttp);
  const entries = exchanges
    .filter((exchange) => exchange.request !== undefined)
    .map(toHarEntry)
    .sort((a, b) => (a.startedDateTime < b.startedDateTime ? -1 : 1));
  const orphans = exchanges.length - entries.length;
  return {
    log: {
      version: '1.2',
      creator: { name: 'tcp-sniffer', version: creatorVersion },
      entries,
      ...(orphans === 0
        ? {}
        : { comment: `${orphans} responses whose request is not known are left out` }),
    },
  };
}
