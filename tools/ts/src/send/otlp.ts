/** `--to otlp:…`: OTLP/HTTP with its JSON encoding (https://opentelemetry.io/docs/specs/otlp/):
 * spans, and the metric of their durations. */

import { type OtelOptions, otelSchemaUrl, toOtelSpan } from '../mappings/otel.js';
import type { RequestDurations } from '../mappings/otel-metrics.js';
import type { Exchange } from '../pair.js';
import { type Endpoint, withPath } from './endpoint.js';
import { type Item, numberAt, objectOf, type Protocol, textAt, type Verdict } from './protocol.js';

export function otlpItem(exchange: Exchange, options: OtelOptions): Item {
  return { text: JSON.stringify(toOtelSpan(exchange, options)) };
}

/** "If the server has partially accepted, the client must not retry." */
function partialSuccess(answer: string, countKey: string): Verdict {
  const partial = objectOf(answer).partialSuccess as Record<string, unknown> | undefined;
  const count = numberAt(partial?.[countKey]);
  const reason = textAt(partial?.errorMessage).slice(0, 1000);
  if (Number.isSafeInteger(count) && count > 0) return { unknown: { count, reason } };
  return reason === '' ? {} : { warning: reason };
}

export function otlpTracesProtocol({ name, url, headers }: Endpoint, service: string): Protocol {
  const resource = JSON.stringify({
    attributes: [{ key: 'service.name', value: { stringValue: service } }],
  });
  return {
    name,
    url: withPath(url, 'v1/traces'),
    headers: { 'content-type': 'application/json', ...headers },
    body: (items: readonly Item[]): string => {
      const spans = items.map(({ text }) => text).join();
      const scope = `{"scope":{"name":"tcp-sniffer"},"spans":[${spans}],"schemaUrl":"${otelSchemaUrl}"}`;
      return `{"resourceSpans":[{"resource":${resource},"scopeSpans":[${scope}]}]}`;
    },
    verdict: (_items, answer): Verdict => partialSuccess(answer, 'rejectedSpans'),
  };
}

/** An item is a whole body: the totals so far, of which the last one counts. */
export function otlpMetricsProtocol({ name, url, headers }: Endpoint): Protocol {
  return {
    name: `${name} (metrics)`,
    url: withPath(url, 'v1/metrics'),
    headers: { 'content-type': 'application/json', ...headers },
    body: (items: readonly Item[]): string => items.at(-1)?.text ?? '{}',
    verdict: (_items, answer): Verdict => {
      const { unknown, warning } = partialSuccess(answer, 'rejectedDataPoints');
      // Data points are no items: the export as a whole was taken.
      const text = unknown ? `${unknown.count} data points rejected: ${unknown.reason}` : warning;
      return text === undefined ? {} : { warning: text };
    },
  };
}

export function otlpMetricsItem(durations: RequestDurations, service: string): Item {
  return { text: JSON.stringify(durations.toOtlp(service)) };
}
