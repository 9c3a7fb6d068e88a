/**
 * `--to elastic:…/index`: the `_bulk` API of Elasticsearch and OpenSearch, with ECS documents
 * (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk). `create` works for an
 * index and for a data stream. The id is the same for the same exchange, so that one that is sent
 * again is there once.
 */
import { createHash } from 'node:crypto';
import { toEcs } from '../mappings/ecs.js';
import type { Exchange } from '../pair.js';
import { type Endpoint, withPath } from './endpoint.js';
import {
  type Item,
  numberAt,
  objectOf,
  type Protocol,
  type Rejected,
  textAt,
  type Verdict,
} from './protocol.js';

const alreadyThere = 409;
const retryStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export function elasticItem(exchange: Exchange): Item {
  const text = JSON.stringify(toEcs(exchange));
  const { connectionId, exchange: number } = exchange;
  // Two halves of which neither has a number may be alike and yet be two.
  if (number === undefined) return { text };
  const hash = createHash('sha256').update(`${connectionId}/${number}/${text}`).digest('hex');
  return { text, key: hash.slice(0, 32) };
}

function actionOf({ key }: Item): string {
  return key === undefined ? '{"create":{}}' : `{"create":{"_id":"${key}"}}`;
}

interface BulkResult {
  status?: unknown;
  error?: { type?: unknown; reason?: unknown };
}

/** The receiver's words without the value that it quotes, which was captured: reasons are logged. */
function reasonOf(status: number, { error }: BulkResult): string {
  const { type, reason } = error ?? {};
  const words = textAt(reason).replace(/\s*Preview of field's value: .*/s, '');
  return `status ${status}, ${textAt(type)}: ${words}`.slice(0, 1000);
}

function verdict(items: readonly Item[], answer: string): Verdict {
  const { errors, items: results } = objectOf(answer);
  if (errors === false) return {};
  if (!Array.isArray(results) || results.length !== items.length) {
    const reason = 'the answer does not say what became of each document';
    return { unknown: { count: items.length, reason } };
  }
  const retry: Rejected[] = [];
  const rejected: Rejected[] = [];
  items.forEach((item, i) => {
    const result: BulkResult = (results[i] as { create?: BulkResult } | null)?.create ?? {};
    const status = numberAt(result.status);
    if ((status >= 200 && status < 300) || status === alreadyThere) return;
    const refused = { item, reason: reasonOf(status, result) };
    if (retryStatuses.has(status)) retry.push(refused);
    else rejected.push(refused);
  });
  return { retry, rejected };
}

export function elasticProtocol({ name, url, headers }: Endpoint): Protocol {
  return {
    name,
    url: withPath(url, '_bulk'),
    headers: { 'content-type': 'application/x-ndjson', ...headers },
    body: (items: readonly Item[]): string =>
      items.map((item) => `${actionOf(item)}\n${item.text}\n`).join(''),
    verdict,
  };
}
