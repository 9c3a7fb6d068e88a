/** Elastic Common Schema: an exchange as one document (https://www.elastic.co/docs/reference/ecs). */
import { headerOf, type MessageLike } from '../message.js';
import type { Exchange } from '../pair.js';
import {
  anyMessage,
  type ExchangeLike,
  endsOf,
  exchangeOf,
  hasNoResponse,
  hostAndPortOf,
  mimeTypeOf,
  pathAndQueryOf,
  timesOf,
  urlOf,
} from './common.js';
import { type Origin, originOf } from './forwarded.js';

export const ecsVersion = '9.4.0';

export interface EcsOptions {
  /** Bodies that are text become `http.request.body.content` and `http.response.body.content`. */
  bodies?: boolean;
}

/** An ECS document: nested objects, leaves as ECS types them. */
export type EcsDocument = { [field: string]: EcsValue };
type EcsValue = string | number | string[] | EcsDocument;

/** Leaves out what is not known, and objects that have nothing left. */
function compact(value: Record<string, unknown>): EcsDocument {
  const out: EcsDocument = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    if (typeof field === 'object' && field !== null && !Array.isArray(field)) {
      const inner = compact(field as Record<string, unknown>);
      if (Object.keys(inner).length > 0) out[key] = inner;
    } else {
      out[key] = field as EcsValue;
    }
  }
  return out;
}

function isoOf(microseconds: bigint): string {
  const milliseconds = new Date(Number(microseconds / 1000n)).toISOString();
  return `${milliseconds.slice(0, -1)}${String(microseconds % 1000n).padStart(3, '0')}Z`;
}

function outcomeOf(exchange: Exchange): 'success' | 'failure' | 'unknown' {
  const { response } = exchange;
  if (hasNoResponse(exchange)) return 'failure';
  if (response?.statusCode === undefined) return 'unknown';
  return response.statusCode < 400 ? 'success' : 'failure';
}

function bodyOf(message: MessageLike | undefined, { bodies }: EcsOptions): Record<string, unknown> {
  if (message === undefined) return {};
  const content = bodies && message.bodyEncoding !== 'base64' ? message.body : undefined;
  return { bytes: message.bodySize, content: content === '' ? undefined : content };
}

function urlFieldsOf(exchange: Exchange, origin: Origin): Record<string, unknown> {
  const { request } = exchange;
  if (request === undefined) return {};
  const { path, query } = pathAndQueryOf(request);
  const { host, port } = hostAndPortOf(exchange, origin);
  const full = urlOf(request, origin);
  full.username = '';
  full.password = '';
  return {
    domain: host,
    port,
    scheme: origin.scheme,
    path: path === '' ? undefined : path,
    query: query === '' ? undefined : query,
    original: request.path,
    full: full.href,
  };
}

/** An exchange as an ECS document. `source` is the peer of the connection, `client` whom the proxies
 * name where they are believed. */
export function toEcs(like: ExchangeLike, options: EcsOptions = {}): EcsDocument {
  const exchange = exchangeOf(like);
  const { request, response } = exchange;
  const message = anyMessage(exchange);
  const { client: peer, server } = endsOf(exchange);
  const origin = originOf(exchange);
  const { client } = origin;
  const { begin, end } = timesOf(exchange);
  const vlan = Array.isArray(message.vlan) ? message.vlan[0] : message.vlan;
  const source = { address: peer.ip, ip: peer.ip, port: peer.port };
  const destination = { address: server.ip, ip: server.ip, port: server.port };
  return compact({
    '@timestamp': isoOf(begin),
    ecs: { version: ecsVersion },
    event: {
      kind: 'event',
      category: ['network', 'web'],
      type: ['connection', 'protocol', 'access'],
      outcome: outcomeOf(exchange),
      start: isoOf(begin),
      end: isoOf(end),
      duration: Number((end - begin) * 1000n),
    },
    http: {
      version: message.httpVersion,
      request: request && {
        id: headerOf(request, 'x-request-id'),
        method: request.method,
        referrer: headerOf(request, 'referer'),
        mime_type: mimeTypeOf(request),
        body: bodyOf(request, options),
      },
      response: response && {
        status_code: response.statusCode,
        mime_type: mimeTypeOf(response),
        body: bodyOf(response, options),
      },
    },
    url: urlFieldsOf(exchange, origin),
    user_agent: { original: request && headerOf(request, 'user-agent') },
    source,
    client: { address: client.address, ip: client.address, port: client.port },
    destination,
    server: destination,
    network: {
      transport: 'tcp',
      protocol: 'http',
      type: server.ip.includes(':') ? 'ipv6' : 'ipv4',
      community_id: message.communityId,
      forwarded_ip: client.address === peer.ip ? undefined : client.address,
      vlan: { id: vlan === undefined ? undefined : String(vlan) },
    },
    observer: { ingress: { interface: { name: message.interface } } },
    related: { ip: [...new Set([client.address, peer.ip, server.ip])] },
  });
}
