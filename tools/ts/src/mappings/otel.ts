/**
 * OpenTelemetry: an exchange as a span, after the stable HTTP semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/), in OTLP's JSON encoding.
 *
 * `error.type` is a status that is an error, `no_response` (the server ended the connection without
 * a response) or `incomplete_response` (it ended within one). That a response was not captured is no
 * error of the request.
 */
import { createHash } from 'node:crypto';
import { headerOf, headerValues, type MessageLike } from '../message.js';
import type { Exchange } from '../pair.js';
import {
  anyMessage,
  type ExchangeLike,
  endsOf,
  exchangeOf,
  hasNoResponse,
  hostAndPortOf,
  isHttp,
  pathAndQueryOf,
  timesOf,
  urlOf,
} from './common.js';
import { originOf } from './forwarded.js';
import { routeOf } from './routes.js';

/** The version of the semantic conventions whose names these are. */
export const semanticConventionsVersion = '1.45.0';
export const otelSchemaUrl = `https://opentelemetry.io/schemas/${semanticConventionsVersion}`;

export type OtelAttributeValue = string | number | string[];

export interface OtelOptions {
  /** Whose span it is: the server's (default), or the client's. */
  kind?: 'server' | 'client';
  /** Headers, in lower case, that become `http.request.header.<name>` and
   * `http.response.header.<name>`. None by default, because they may hold secrets. */
  requestHeaders?: readonly string[];
  responseHeaders?: readonly string[];
  /** Patterns of paths, as `/users/:id`, `/users/{id}` or `/static/**`: the first that matches is
   * `http.route` (of a client's span `url.template`), and part of the span's name. */
  routes?: readonly string[];
  /** Methods that are not `_OTHER`, instead of those of RFC 9110 and PATCH. */
  knownMethods?: readonly string[];
}

export interface OtlpValue {
  stringValue?: string;
  intValue?: string;
  arrayValue?: { values: { stringValue: string }[] };
}

export interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  /** 2 = SERVER, 3 = CLIENT. */
  kind: 2 | 3;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: OtlpValue }[];
  /** 0 = unset, 2 = error. */
  status: { code: 0 | 2; message?: string };
}

// The convention's list; any other method is `_OTHER`, because a method is text from outside.
const knownMethodsDefault: readonly string[] = [
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
];

export function methodOf(
  exchange: Exchange,
  knownMethods: readonly string[] = knownMethodsDefault,
): { method: string; original: string | undefined } {
  const sent = exchange.request?.method;
  if (sent === undefined) return { method: '_OTHER', original: undefined };
  if (knownMethods.includes(sent)) return { method: sent, original: undefined };
  return { method: '_OTHER', original: sent };
}

/** Values of these keys of a query are not shown: the list of the conventions, and its like. */
const secretKeys: ReadonlySet<string> = new Set([
  'AWSAccessKeyId',
  'Signature',
  'sig',
  'X-Goog-Signature',
  'X-Amz-Credential',
  'X-Amz-Security-Token',
  'X-Amz-Signature',
]);

function redactedQuery(query: string): string {
  const redacted = query.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    return secretKeys.has(pair.slice(0, equals)) ? `${pair.slice(0, equals)}=REDACTED` : pair;
  });
  return redacted.join('&');
}

/** `url.full`, in which credentials are not shown. */
function fullUrlOf(request: MessageLike): string {
  const url = urlOf(request);
  if (url.username !== '') url.username = 'REDACTED';
  if (url.password !== '') url.password = 'REDACTED';
  if (url.search !== '') url.search = redactedQuery(url.search.slice(1));
  return url.href;
}

function routeOfExchange(exchange: Exchange, options: OtelOptions): string | undefined {
  if (exchange.request === undefined || options.routes === undefined) return undefined;
  return routeOf(pathAndQueryOf(exchange.request).path, options.routes);
}

/** A status that is an error for this kind of span, or what the end of the connection cut off. */
export function errorTypeOf(exchange: Exchange, kind: 'server' | 'client'): string | undefined {
  const { response } = exchange;
  if (hasNoResponse(exchange)) return 'no_response';
  if (response === undefined) return undefined;
  const status = response.statusCode ?? 0;
  if (status >= (kind === 'server' ? 500 : 400)) return String(status);
  return response.incomplete === 'closed' ? 'incomplete_response' : undefined;
}

function headerAttributes(exchange: Exchange, options: OtelOptions): [string, string[]][] {
  const out: [string, string[]][] = [];
  const add = (side: 'request' | 'response', names: readonly string[] = []): void => {
    const message = exchange[side];
    if (message === undefined) return;
    for (const name of names) {
      const values = headerValues(message, name);
      if (values.length > 0) out.push([`http.${side}.header.${name}`, values]);
    }
  };
  add('request', options.requestHeaders);
  add('response', options.responseHeaders);
  return out;
}

/** The span's attributes. What is not known is not there. */
export function toOtelAttributes(
  like: ExchangeLike,
  options: OtelOptions = {},
): Record<string, OtelAttributeValue> {
  const exchange = exchangeOf(like);
  const kind = options.kind ?? 'server';
  const { request, response } = exchange;
  const { client, server } = endsOf(exchange);
  const { method, original } = methodOf(exchange, options.knownMethods);
  // A client's span is of the request that it sent, a server's of the one before all proxies.
  const origin = originOf(exchange);
  const { host, port } = hostAndPortOf(exchange, kind === 'server' ? origin : {});
  const route = routeOfExchange(exchange, options);
  const [local, peer] = kind === 'server' ? [server, client] : [client, server];
  const attributes: [string, OtelAttributeValue | undefined][] = [
    ['http.request.method', method],
    ['http.request.method_original', original],
    ['server.address', host],
    ['server.port', port],
    ['network.peer.address', peer.ip],
    ['network.peer.port', peer.port],
    ['network.local.address', local.ip],
    ['network.local.port', local.port],
    ['network.transport', 'tcp'],
    ['network.type', server.ip.includes(':') ? 'ipv6' : 'ipv4'],
    ['network.protocol.name', 'http'],
    ['network.protocol.version', anyMessage(exchange).httpVersion],
    ['http.response.status_code', response?.statusCode],
    ['http.response.body.size', response?.bodySize],
    ['error.type', errorTypeOf(exchange, kind)],
  ];
  if (request !== undefined) {
    const { path, query } = pathAndQueryOf(request);
    attributes.push(
      ['url.scheme', kind === 'server' ? origin.scheme : 'http'],
      ['http.request.body.size', request.bodySize],
      ['user_agent.original', headerOf(request, 'user-agent')],
    );
    if (kind === 'server') {
      attributes.push(
        ['url.path', path],
        ['url.query', query === '' ? undefined : redactedQuery(query)],
        ['client.address', origin.client.address],
        ['client.port', origin.client.port],
        ['http.route', route],
      );
    } else {
      attributes.push(['url.full', fullUrlOf(request)], ['url.template', route]);
    }
  }
  attributes.push(...headerAttributes(exchange, options));
  return Object.fromEntries(
    attributes.filter((pair): pair is [string, OtelAttributeValue] => pair[1] !== undefined),
  );
}

function otlpValue(value: OtelAttributeValue): OtlpValue {
  if (typeof value === 'number') return { intValue: String(value) };
  if (typeof value === 'string') return { stringValue: value };
  return { arrayValue: { values: value.map((stringValue) => ({ stringValue })) } };
}

/** Trace and parent of a `traceparent` header (W3C Trace Context, section 3.2). */
function traceContextOf(exchange: Exchange): { traceId: string; parentId: string } | undefined {
  const header = exchange.request && headerOf(exchange.request, 'traceparent');
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:$|-)/.exec(
    header ?? '',
  );
  const [, traceId = '', parentId = ''] = match ?? [];
  if (/^0*$/.test(traceId) || /^0*$/.test(parentId)) return undefined;
  return { traceId, parentId };
}

/** An exchange as a span of OTLP/JSON. The ids are the same in every run: those of the request's
 * `traceparent`, else made of the connection and the exchange's number. */
export function toOtelSpan(like: ExchangeLike, options: OtelOptions = {}): OtlpSpan {
  const exchange = exchangeOf(like);
  const kind = options.kind ?? 'server';
  const { begin, end } = timesOf(exchange);
  const context = traceContextOf(exchange);
  const id = createHash('sha256')
    .update(`${exchange.connectionId}/${exchange.exchange ?? 'none'}/${begin}`)
    .digest('hex');
  const attributes = toOtelAttributes(exchange, options);
  const isError = attributes['error.type'] !== undefined;
  const { method } = methodOf(exchange, options.knownMethods);
  const route = routeOfExchange(exchange, options);
  const verb = method === '_OTHER' ? 'HTTP' : method;
  return {
    traceId: context?.traceId ?? id.slice(0, 32),
    spanId: id.slice(32, 48),
    ...(context === undefined ? {} : { parentSpanId: context.parentId }),
    name: route === undefined ? verb : `${verb} ${route}`,
    kind: kind === 'server' ? 2 : 3,
    startTimeUnixNano: String(begin * 1000n),
    endTimeUnixNano: String(end * 1000n),
    attributes: Object.entries(attributes).map(([key, value]) => ({
      key,
      value: otlpValue(value),
    })),
    status: { code: isError ? 2 : 0 },
  };
}

/** Spans as the body of a POST to a collector's `/v1/traces`; exchanges of other protocols are left
 * out. */
export function toOtlpTraces(
  exchanges: Iterable<ExchangeLike>,
  serviceName: string,
  options: OtelOptions = {},
): object {
  return {
    resourceSpans: [
      {
        resource: {
          attributes: [{ key: 'service.name', value: { stringValue: serviceName } }],
        },
        scopeSpans: [
          {
            scope: { name: 'tcp-sniffer' },
            spans: [...exchanges]
              .map(exchangeOf)
              .filter(isHttp)
              .map((exchange) => toOtelSpan(exchange, options)),
            schemaUrl: otelSchemaUrl,
          },
        ],
      },
    ],
  };
}
