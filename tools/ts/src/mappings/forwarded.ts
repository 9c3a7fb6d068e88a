/** What proxies in front of the server say of the original request: RFC 7239's `Forwarded`, and the
 * older X-Forwarded headers. They are believed where the engine was told to believe them: a message
 * has `client` then, and only then. */
import type { Endpoint } from '../generated.js';
import { headerValues, type MessageLike } from '../message.js';
import type { Exchange } from '../pair.js';
import { anyMessage } from './common.js';

export interface Origin {
  client: { address: string; port: number | undefined };
  scheme: 'http' | 'https';
  /** Host, with or without a port, that the client asked the first proxy for. */
  host: string | undefined;
}

/** The parts of a list; a separator in quotes is text. */
function split(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let begin = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\\' && quoted) at += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      parts.push(text.slice(begin, at));
      begin = at + 1;
    }
  }
  parts.push(text.slice(begin));
  return parts.map((part) => part.trim());
}

function unquoted(text: string): string {
  if (!/^".*"$/s.test(text)) return text;
  return text.slice(1, -1).replace(/\\(.)/gs, '$1');
}

/** One spelling for one address, the engine's. */
function canonical(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  try {
    return new URL(`http://[${address}]/`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}

/** 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1]:80, in quotes or not. */
function addressOf(text: string): string {
  const node = unquoted(text.trim()).trim();
  const inBrackets = /^\[([^\]]*)\]/.exec(node)?.[1];
  if (inBrackets !== undefined) return canonical(inBrackets);
  const colons = node.split(':');
  return canonical(colons.length === 2 ? (colons[0] ?? '') : node);
}

/** All fields of a name are one list. */
function listOf(message: MessageLike, name: string): string[] {
  return headerValues(message, name).flatMap((value) => split(value, ','));
}

function forwardedPairs(element: string): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const pair of split(element, ';')) {
    const equals = pair.indexOf('=');
    if (equals < 0) continue;
    pairs.set(pair.slice(0, equals).trim().toLowerCase(), unquoted(pair.slice(equals + 1).trim()));
  }
  return pairs;
}

/** What the proxy said that the client reached: its element is the last one with that client. */
function forwardedBy(request: MessageLike, client: string): Map<string, string> | undefined {
  return listOf(request, 'forwarded')
    .map(forwardedPairs)
    .findLast((pairs) => addressOf(pairs.get('for') ?? '') === client);
}

/** An element of a list beside X-Forwarded-For: the client's, where both have the same length; else
 * the last one, which the nearest proxy wrote. */
function besideForwardedFor(request: MessageLike, name: string, client: string) {
  const values = listOf(request, name);
  const clients = listOf(request, 'x-forwarded-for').map(addressOf);
  const at = clients.length === values.length ? clients.lastIndexOf(client) : -1;
  return values[at < 0 ? values.length - 1 : at];
}

function schemeOf(text: string | undefined): 'http' | 'https' | undefined {
  const word = text?.toLowerCase();
  if (word === 'https' || word === 'wss') return 'https';
  return word === 'http' || word === 'ws' ? 'http' : undefined;
}

function portOf(address: string, peer: Endpoint, proxied: MessageLike['proxied']) {
  if (address === peer.ip) return peer.port;
  return address === proxied?.source.ip ? proxied.source.port : undefined;
}

/** Who asked, and what for, before the proxies; without proxies that are believed, the peer. */
export function originOf(exchange: Exchange): Origin {
  const { client, destination: peer, proxied } = anyMessage(exchange);
  const { request } = exchange;
  const address = client ?? peer.ip;
  const origin: Origin = {
    client: { address, port: portOf(address, peer, client === undefined ? undefined : proxied) },
    scheme: 'http',
    host: undefined,
  };
  if (client === undefined) return origin;
  if (proxied?.tls) origin.scheme = 'https';
  if (request === undefined) return origin;
  const pairs = forwardedBy(request, client);
  const scheme =
    schemeOf(pairs?.get('proto')) ??
    schemeOf(besideForwardedFor(request, 'x-forwarded-proto', client));
  origin.scheme = scheme ?? origin.scheme;
  origin.host = pairs?.get('host') || besideForwardedFor(request, 'x-forwarded-host', client);
  return origin;
}
