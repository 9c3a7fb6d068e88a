/**
 * OpenTelemetry: an exchange as a span, after the stable HTTP semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/http/http-spans/), in OTLP's JSON encoding.
 */
import { createHash } from 'node:crypto';
import { headerOf, headerValues } from '../message.js';
import type { Exchange } from '../pair.js';
import {
  anyMessage,
  endsOf,
  hostAndPortOf,
  isHttp,
  pathAndQueryOf,
  timesOf,
  urlOf,
} from './common.js';

export type OtelAttributeValue = string | number | string[];

export interface OtelOptions {
  /** Whose span it is: the server's (default), or the client's. */
  kind?: 'server' | 'client';
  /** Headers, in lower case, that become `http.request.header.<name>` and
   * `http.response.header.<name>`. None by default, for they may hold secrets. */
  requestHeaders?: readonly string[];
  responseHeaders?: readonly string[];
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

// The convention's list; any other method is `_OTHER`, for a method is text from outside.
const knownMethods: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
]);

function methodOf(exchange: Exchange): { method: string; original: string | undefined } {
  const sent = exchange.request?.method;
  if (sent === undefined) return { method: '_OTHER', original: undefined };
  if (knownMethods.has(sent)) return { method: sent, original: undefined };
  return { method: '_OTHER', original: sent };
}

/** The error.type of an exchange: a status that is an error for this kind of span, or what is
 * missing. */
function errorTypeOf(exchange: Exchange, kind: 'server' | 'client'): string | undefined {
  const { response } = exchange;
  if (response === undefined) return 'no_response';
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
  exchange: Exchange,
  options: OtelOptions = {},
): Record<string, OtelAttributeValue> {
  const kind = options.kind ?? 'server';
  const { request, response } = exchange;
  const { client, server } = endsOf(exchange);
  const { method, original } = methodOf(exchange);
  const { host, port } = hostAndPortOf(exchange);
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
      ['url.scheme', 'http'],
      ['http.request.body.size', request.bodySize],
      ['user_agent.original', headerOf(request, 'user-agent')],
    );
    if (kind === 'server') {
      attributes.push(
        ['url.path', path],
        ['url.query', query === '' ? undefined : query],
        ['client.address', client.ip],
        ['client.port', client.port],
      );
    } else {
      const url = urlOf(request);
      url.username = '';
      url.password = '';
      attributes.push(['url.full', url.href]);
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
export function toOtelSpan(exchange: Exchange, options: OtelOptions = {}): OtlpSpan {
  const kind = options.kind ?? 'server';
  const { begin, end } = timesOf(exchange);
  const context = traceContextOf(exchange);
  const id = createHash('sha256')
    .update(`${exchange.connectionId}/${exchange.exchange ?? 'none'}/${begin}`)
    .digest('hex');
  const attributes = toOtelAttributes(exchange, options);
  const isError = attributes['error.type'] !== undefined;
  const { method } = methodOf(exchange);
  return {
    traceId: context?.traceId ?? id.slice(0, 32),
    spanId: id.slice(32, 48),
    ...(context === undefined ? {} : { parentSpanId: context.parentId }),
    name: method === '_OTHER' ? 'HTTP' : method,
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
  exchanges: Iterable<Exchange>,
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
            spans: [...exchanges].filter(isHttp).map((exchange) => toOtelSpan(exchange, options)),
          },
        ],
      },
    ],
  };
}
