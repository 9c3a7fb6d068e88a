import type { Endpoint } from '../generated.js';
import { headerOf, type MessageLike } from '../message.js';
import type { Exchange } from '../pair.js';

/** Whether it is an exchange of HTTP, the only ones that the formats have fields for. */
export function isHttp({ request, response }: Exchange): boolean {
  return (request ?? response)?.protocol === undefined;
}

/** Either message of an exchange of HTTP: it has at least one. */
export function anyMessage(exchange: Exchange): MessageLike {
  const message = exchange.request ?? exchange.response;
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

export function authorityOf({ ip, port }: Endpoint): string {
  const host = ip.includes(':') ? `[${ip}]` : ip;
  return port === 80 ? host : `${host}:${port}`;
}

/** What a request asks for, as a URL that parses; the scheme is http, for that is what was seen. */
export function urlOf(request: MessageLike): URL {
  const target = request.path ?? '/';
  const authority = headerOf(request, 'host') || authorityOf(request.receiver);
  const candidates = [
    /^[a-z][a-z0-9+.-]*:\/\//i.test(target) ? target : undefined,
    request.method === 'CONNECT' ? `http://${target}/` : undefined,
    target.startsWith('/') ? `http://${authority}${target}` : undefined,
    target === '*' ? `http://${authority}/` : undefined,
    `http://${authority}/${target}`,
    `http://${authorityOf(request.receiver)}/${encodeURIComponent(target)}`,
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

/** Host and port that the client asked for; the server's address when it did not say. */
export function hostAndPortOf(exchange: Exchange): { host: string; port: number } {
  const { server } = endsOf(exchange);
  const value = exchange.request && headerOf(exchange.request, 'host');
  if (!value) return { host: server.ip, port: server.port };
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(value);
  if (!match?.[1]) return { host: server.ip, port: server.port };
  const host = match[1].replace(/^\[|\]$/g, '');
  return { host, port: match[2] === undefined ? server.port : Number(match[2]) };
}

/** `text/html` of `text/html; charset=utf-8`. */
export function mimeTypeOf(message: MessageLike): string | undefined {
  const value = headerOf(message, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  return value === '' ? undefined : value;
}
