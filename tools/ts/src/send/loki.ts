/** `--to loki:…`: Loki's push API (https://grafana.com/docs/loki/latest/reference/loki-http-api/). A
 * line is an ECS document; what differs between exchanges is in the line, so that there is one
 * stream. */
import { timesOf } from '../mappings/common.js';
import { toEcs } from '../mappings/ecs.js';
import type { Exchange } from '../pair.js';
import { type Endpoint, withPath } from './endpoint.js';
import type { Item, Protocol, Verdict } from './protocol.js';

/** Of nanoseconds since 1970 that a u64 has room for. Times before 2001-09-09 have fewer. */
const digitsMax = 20;

export function lokiItem(exchange: Exchange): Item {
  const nanoseconds = String(timesOf(exchange).begin * 1000n);
  const line = JSON.stringify(toEcs(exchange));
  return { text: JSON.stringify([nanoseconds, line]), key: nanoseconds.padStart(digitsMax, '0') };
}

export function lokiProtocol({ name, url, headers }: Endpoint, serviceName: string): Protocol {
  const stream = JSON.stringify({ job: 'tcp-sniffer', service_name: serviceName });
  return {
    name,
    url: withPath(url, 'loki/api/v1/push'),
    headers: { 'content-type': 'application/json', ...headers },
    body: (items: readonly Item[]): string => {
      // Exchanges come in the order in which they ended. All keys have the same length.
      const sorted = [...items].sort(byKey);
      return `{"streams":[{"stream":${stream},"values":[${sorted.map(({ text }) => text).join()}]}]}`;
    },
    verdict: (): Verdict => ({}),
  };
}

function byKey(a: Item, b: Item): number {
  const [left, right] = [a.key ?? '', b.key ?? ''];
  return left < right ? -1 : left > right ? 1 : 0;
}
