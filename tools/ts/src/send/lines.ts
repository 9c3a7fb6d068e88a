/** `--to https://…`: the engine's lines as they are, application/x-ndjson. */
import type { Endpoint } from './endpoint.js';
import type { Item, Protocol, Verdict } from './protocol.js';

export function linesProtocol({ name, url, headers }: Endpoint): Protocol {
  return {
    name,
    url,
    headers: { 'content-type': 'application/x-ndjson', ...headers },
    body: (items: readonly Item[]): string => items.map(({ text }) => `${text}\n`).join(''),
    verdict: (): Verdict => ({}),
  };
}
