/** Zeek: an exchange as a record of http.log, with Zeek's names and types
 * (https://docs.zeek.org/en/current/scripts/base/protocols/http/main.zeek.html), as its JSON writer
 * writes them. */
import { headerOf, headerValues } from '../message.js';
import type { Exchange } from '../pair.js';
import { anyMessage, type ExchangeLike, endsOf, exchangeOf, microsecondsOf } from './common.js';

export interface ZeekHttp {
  ts: number;
  uid: string;
  'id.orig_h': string;
  'id.orig_p': number;
  'id.resp_h': string;
  'id.resp_p': number;
  trans_depth: number;
  method?: string;
  host?: string;
  uri?: string;
  referrer?: string;
  version?: string;
  user_agent?: string;
  origin?: string;
  request_body_len: number;
  response_body_len: number;
  status_code?: number;
  status_msg?: string;
  info_code?: number;
  info_msg?: string;
  tags: string[];
  username?: string;
  proxied?: string[];
}

// Zeek's HTTP::proxy_headers.
const proxyHeaders: readonly string[] = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-from',
  'client-ip',
  'via',
  'xroxy-connection',
  'proxy-connection',
];

/** The user of basic authentication; the password is never taken, as in Zeek's default. */
function usernameOf(exchange: Exchange): string | undefined {
  const { request } = exchange;
  if (request === undefined) return undefined;
  const value = headerOf(request, 'authorization') ?? headerOf(request, 'proxy-authorization');
  const encoded = /^basic\s+(\S+)/i.exec(value ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : decoded.slice(0, colon);
}

function proxiedOf(exchange: Exchange): string[] | undefined {
  const { request } = exchange;
  if (request === undefined) return undefined;
  const out = proxyHeaders.flatMap((name) =>
    headerValues(request, name).map((value) => `${name.toUpperCase()} -> ${value}`),
  );
  return out.length > 0 ? out : undefined;
}

/** An exchange as a record of http.log. `uid` is the engine's connection id: the same in every
 * run, and no Zeek's. */
export function toZeekHttp(like: ExchangeLike): ZeekHttp {
  const exchange = exchangeOf(like);
  const { request, response, interim } = exchange;
  const { client, server } = endsOf(exchange);
  const info = interim.at(-1);
  const optional = {
    method: request?.method,
    host: request && headerOf(request, 'host'),
    uri: request?.path,
    referrer: request && headerOf(request, 'referer'),
    version: response?.httpVersion,
    user_agent: request && headerOf(request, 'user-agent'),
    origin: request && headerOf(request, 'origin'),
    status_code: response?.statusCode,
    status_msg: response?.statusText,
    info_code: info?.statusCode,
    info_msg: info?.statusText,
    username: usernameOf(exchange),
    proxied: proxiedOf(exchange),
  };
  const known = Object.fromEntries(
    Object.entries(optional).filter(([, value]) => value !== undefined),
  ) as Partial<ZeekHttp>;
  return {
    ts: Number(microsecondsOf(anyMessage(exchange).timestamp)) / 1e6,
    uid: exchange.connectionId,
    'id.orig_h': client.ip,
    'id.orig_p': client.port,
    'id.resp_h': server.ip,
    'id.resp_p': server.port,
    trans_depth: (exchange.exchange ?? 0) + 1,
    ...known,
    request_body_len: request?.bodySize ?? 0,
    response_body_len: response?.bodySize ?? 0,
    tags: [],
  };
}
