import { exchangeOfFields } from '../exchange-record.js';
import type { Endpoint, ExchangeFields } from '../generated.js';
import { headerOf, type MessageLike } from '../message.js';
import type { Exchange } from '../pair.js';

/** What the mappings read: an exchange of the package, or a line of the engine with
 * `records: exchange`, parsed. */
export type ExchangeLike = Exchange | ExchangeFields;

export function exchangeOf(like: ExchangeLike): Exchange {
  const message = like.request ?? like.response ?? like.interim?.[0];
  if (message === undefined || 'direction' in message) return like as Exchange;
  return exchangeOfFields(like as ExchangeFields);
}

/** Whether it is an exchange of HTTP, the only ones that the formats have fields for. */
export function isHttp({ request, response, interim }: Exchange): boolean {
  return (request ?? response ?? interim[0])?.protocol === undefined;
}

/** A message of an exchange of HTTP: it has at least one. */
export function anyMessage(exchange: Exchange): MessageLike {
  const message = exchange.request ?? exchange.response ?? exchange.interim[0];
  if (message === undefined) throw new TypeError('an exchange without a message');
  if (!isHttp(exchange)) throw new TypeError(`an exchange of ${message.protocol}, not of HTTP`);
  return message;
}

export interface Ends {
  client: Endpoint;
  server: Endpoint;
}

/** The receiver is the server, for both directions. */
export function endsOf(exchange: Exchange): Ends {
  const { receiver, destination } = anyMessage(exchange);
  return { client: destination, server: receiver };
}

/** Microseconds since 1970 of a message's timestamp. */
export function microsecondsOf(timestamp: string): bigint {
  const seconds = Date.parse(`${timestamp.slice(0, 19)}Z`) / 1000;
  const fraction = /\.(\d{1,6})/.exec(timestamp)?.[1] ?? '';
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** First byte of the exchange and last byte, in microseconds since 1970. */
export function timesOf(exchange: Exchange): { begin: bigint; end: bigint } {
  const begin = microsecondsOf(anyMessage(exchange).timestamp);
  const last = exchange.response ?? anyMessage(exchange);
  const duration = BigInt(Math.max(0, Math.round((last.durationMs ?? 0) * 1000)));
  const end = microsecondsOf(last.timestamp) + duration;
  return { begin, end: end < begin ? begin : end };
}

/** Whether the connection was seen to end without a response. That none was captured says nothing. */
export function hasNoResponse(exchange: Exchange): boolean {
  return exchange.response === undefined && exchange.orphanReason === 'noResponse';
}

export function authorityOf({ ip, port }: Endpoint): string {
  const host = ip.includes(':') ? `[${ip}]` : ip;
  return port === 80 ? host : `${host}:${port}`;
}

/** What was asked for before the proxies, where that is known. */
export interface UrlOrigin {
  scheme?: 'http' | 'https';
  host?: string | undefined;
}

/** Half of a pair of UTF-16, which a text of JSON may have, as a URL writes it. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/** What a request asks for, as a URL that parses; without an origin the scheme is http, because that
 * is what was seen. */
export function urlOf(request: MessageLike, { scheme = 'http', host }: UrlOrigin = {}): URL {
  const target = request.path ?? '/';
  const authority = host || headerOf(request, 'host') || authorityOf(request.receiver);
  const candidates = [
    /^[a-z][a-z0-9+.-]*:\/\//i.test(target) ? target : undefined,
    request.method === 'CONNECT' ? `http://${target}/` : undefined,
    target.startsWith('/') ? `${scheme}://${authority}${target}` : undefined,
    target === '*' ? `${scheme}://${authority}/` : undefined,
    `${scheme}://${authority}/${target}`,
    `${scheme}://${authorityOf(request.receiver)}/${encodeURIComponent(wellFormed(target))}`,
  ];
  for (const candidate of candidates) {
    if (candidate === undefined) continue;
    try {
      return new URL(candidate);
    } catch {
      // A host header, or a target, that is no part of a URL: the next form has less of it.
    }
  }
  return new URL('http://invalid/');
}

/** Path and query of a target as sent, for formats that keep them apart. */
export function pathAndQueryOf(request: MessageLike): { path: string; query: string } {
  const target = request.path ?? '';
  const withoutOrigin = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  const mark = withoutOrigin.indexOf('?');
  if (mark < 0) return { path: withoutOrigin, query: '' };
  return { path: withoutOrigin.slice(0, mark), query: withoutOrigin.slice(mark + 1) };
}

const defaultPorts = { http: 80, https: 443 } as const;

/**
 * Host and port that the client asked for: of what the proxies say, of a target in absolute form, of
 * the Host header; the server's address when there is none. A host without a port means the default
 * one of the scheme.
 */
export function hostAndPortOf(
  exchange: Exchange,
  { scheme = 'http', host: forwarded }: UrlOrigin = {},
): { host: string; port: number } {
  const { receiver } = anyMessage(exchange);
  const target = exchange.request?.path ?? '';
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]+)/i.exec(target)?.[1];
  const host = exchange.request && headerOf(exchange.request, 'host');
  for (const candidate of [forwarded, absolute, host]) {
    const match = /^(\[[^\]]*\]|[^:\s]+)(?::(\d{1,5}))?$/.exec(candidate ?? '');
    if (!match?.[1]) continue;
    const port = match[2] === undefined ? defaultPorts[scheme] : Number(match[2]);
    return { host: match[1].replace(/^\[|\]$/g, ''), port };
  }
  return { host: receiver.ip, port: receiver.port };
}

/** `text/html` of `text/html; charset=utf-8`. */
export function mimeTypeOf(message: MessageLike): string | undefined {
  const value = headerOf(message, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  return value === '' ? undefined : value;
}
