/**
 * OpenTelemetry: the metric `http.server.request.duration`
 * (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/), in OTLP's JSON encoding.
 */
import type { Exchange } from '../pair.js';
import {
  anyMessage,
  type ExchangeLike,
  exchangeOf,
  hasNoResponse,
  pathAndQueryOf,
  timesOf,
} from './common.js';
import { originOf } from './forwarded.js';
import { errorTypeOf, methodOf, type OtelOptions, otelSchemaUrl } from './otel.js';
import { routeOf } from './routes.js';

/** Seconds: the bounds that the convention advises. */
const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** Sets of attributes, as OpenTelemetry limits them; what comes beyond is one set of its own. */
const setsMax = 2000;
const overflow = '[["otel.metric.overflow",true]]';

interface Totals {
  attributes: [string, string | number | boolean][];
  count: number;
  sum: number;
  min: number;
  max: number;
  buckets: number[];
}

function otlpValue(value: string | number | boolean): object {
  if (typeof value === 'number') return { intValue: String(value) };
  return typeof value === 'boolean' ? { boolValue: value } : { stringValue: value };
}

/** How long requests took, in all, by their attributes. Their number is bounded. */
export class RequestDurations {
  readonly #options: OtelOptions;
  readonly #sets = new Map<string, Totals>();
  #begin: bigint | undefined;
  #end = 0n;

  constructor(options: OtelOptions = {}) {
    this.#options = options;
  }

  /** Takes an exchange that has ended: one with a response, or one that was seen to get none. */
  add(like: ExchangeLike): void {
    const exchange = exchangeOf(like);
    const { request, response } = exchange;
    if (request === undefined) return;
    if (response === undefined && !hasNoResponse(exchange)) return;
    const { begin, end } = timesOf(exchange);
    this.#begin ??= begin;
    if (end > this.#end) this.#end = end;
    const seconds = Number(end - begin) / 1e6;
    const totals = this.#totalsOf(this.#attributesOf(exchange));
    totals.count += 1;
    totals.sum += seconds;
    totals.min = Math.min(totals.min, seconds);
    totals.max = Math.max(totals.max, seconds);
    const bucket = bounds.findIndex((bound) => seconds <= bound);
    const at = bucket < 0 ? bounds.length : bucket;
    totals.buckets[at] = (totals.buckets[at] ?? 0) + 1;
  }

  /** Whether there is nothing to report. */
  get isEmpty(): boolean {
    return this.#sets.size === 0;
  }

  /** The totals so far as the body of a POST to a collector's `/v1/metrics`. */
  toOtlp(serviceName: string): object {
    const dataPoints = [...this.#sets.values()].map((totals) => ({
      attributes: totals.attributes.map(([key, value]) => ({ key, value: otlpValue(value) })),
      startTimeUnixNano: String((this.#begin ?? 0n) * 1000n),
      timeUnixNano: String(this.#end * 1000n),
      count: String(totals.count),
      sum: totals.sum,
      min: totals.min,
      max: totals.max,
      bucketCounts: totals.buckets.map(String),
      explicitBounds: bounds,
    }));
    const metric = {
      name: 'http.server.request.duration',
      description: 'Duration of HTTP server requests.',
      unit: 's',
      // 2 = cumulative: a report that is lost, or comes twice, does no harm.
      histogram: { aggregationTemporality: 2, dataPoints },
    };
    return {
      resourceMetrics: [
        {
          resource: {
            attributes: [{ key: 'service.name', value: { stringValue: serviceName } }],
          },
          scopeMetrics: [
            { scope: { name: 'tcp-sniffer' }, metrics: [metric], schemaUrl: otelSchemaUrl },
          ],
        },
      ],
    };
  }

  #attributesOf(exchange: Exchange): Totals['attributes'] {
    const { routes, knownMethods } = this.#options;
    const path = exchange.request && pathAndQueryOf(exchange.request).path;
    const attributes: [string, string | number | undefined][] = [
      ['http.request.method', methodOf(exchange, knownMethods).method],
      ['url.scheme', originOf(exchange).scheme],
      ['error.type', errorTypeOf(exchange, 'server')],
      ['http.response.status_code', exchange.response?.statusCode],
      ['http.route', routes && path !== undefined ? routeOf(path, routes) : undefined],
      ['network.protocol.name', 'http'],
      ['network.protocol.version', anyMessage(exchange).httpVersion],
    ];
    return attributes.filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  }

  #totalsOf(given: Totals['attributes']): Totals {
    const givenKey = JSON.stringify(given);
    const isNew = !this.#sets.has(givenKey) && this.#sets.size >= setsMax - 1;
    const key = isNew ? overflow : givenKey;
    let totals = this.#sets.get(key);
    if (totals === undefined) {
      totals = {
        attributes: isNew ? [['otel.metric.overflow', true]] : given,
        count: 0,
        sum: 0,
        min: Infinity,
        max: 0,
        buckets: Array(bounds.length + 1).fill(0),
      };
      this.#sets.set(key, totals);
    }
    return totals;
  }
}
