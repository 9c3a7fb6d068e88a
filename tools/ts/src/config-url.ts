/** The key `outputUrl`. */
import {
  demand,
  isObject,
  refuse,
  refuseUnknown,
  show,
  wholeNumber,
  withoutCredentials,
} from './config-values.js';
import { headerFault, valueFault } from './header-values.js';
import { quoted } from './printable.js';

export interface OutputUrlOptions {
  url: string | URL;
  /** Messages in one request: 1 posts each as application/json, more as application/x-ndjson. */
  batchMessages?: number;
  /** How long a batch waits to become full. */
  batchWaitMs?: number;
  /** Bytes that wait to be sent; when they are too many, reading pauses. */
  queueBytes?: number;
  /** Requests on their way at once; with more than 1 the collector sees them in any order. */
  concurrency?: number;
  timeoutMs?: number;
  headers?: Record<string, string>;
}

export type CheckedUrl = Required<Omit<OutputUrlOptions, 'url'>> & { url: URL };

type Environment = Readonly<Record<string, string | undefined>>;

/** An http or https URL that a request can be sent to. Errors show no credentials. */
export function checkHttpUrl(key: string, value: unknown): URL {
  let url: URL;
  try {
    url = new URL(value as string | URL);
  } catch {
    const shown = typeof value === 'string' ? quoted(withoutCredentials(value)) : show(value);
    refuse(`${key}: ${shown} is not a URL; allowed: an http or https URL`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    refuse(`${key}: ${show(url.protocol)} is not http: or https:; allowed: an http or https URL`);
  }
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    refuse(
      `${key}: the user name or the password of ${show(url)} has a % that begins no byte; allowed: %25 instead of it`,
    );
  }
  return url;
}

export function checkUrl(
  value: string | URL | OutputUrlOptions | undefined,
  env: Environment,
): CheckedUrl | undefined {
  if (value === undefined) return undefined;
  const plain = typeof value === 'string' || value instanceof URL;
  if (!plain && !isObject(value)) {
    refuse(
      `outputUrl: ${show(value)} is not a URL; allowed: an http or https URL, or an object with url`,
    );
  }
  const options = (plain ? { url: value } : value) as OutputUrlOptions;
  refuseUnknown('outputUrl', { ...options }, [
    'url',
    'batchMessages',
    'batchWaitMs',
    'queueBytes',
    'concurrency',
    'timeoutMs',
    'headers',
  ]);
  const url = checkHttpUrl('outputUrl', options.url);
  if (env.NODE_ENV === 'production' && url.protocol !== 'https:') {
    refuse(
      `outputUrl: ${show(url.origin)} is not encrypted; allowed with NODE_ENV=production: an https URL`,
    );
  }
  demand('outputUrl.headers', options.headers, 'object', 'an object of strings');
  for (const [name, header] of Object.entries(options.headers ?? {})) {
    const fault = headerFault(name, header);
    if (fault !== undefined) refuse(`outputUrl.headers: ${quoted(name)}: ${fault}`);
  }
  const tokenFault = valueFault(env.OUTPUT_URL_AUTH_TOKEN ?? '');
  if (tokenFault !== undefined) refuse(`OUTPUT_URL_AUTH_TOKEN: ${tokenFault}`);
  return {
    url,
    batchMessages: wholeNumber('outputUrl.batchMessages', options.batchMessages, 1, 1, 100_000),
    batchWaitMs: wholeNumber('outputUrl.batchWaitMs', options.batchWaitMs, 200, 0, 60_000),
    queueBytes: wholeNumber(
      'outputUrl.queueBytes',
      options.queueBytes,
      8_388_608,
      1,
      1_073_741_824,
    ),
    concurrency: wholeNumber('outputUrl.concurrency', options.concurrency, 1, 1, 256),
    timeoutMs: wholeNumber('outputUrl.timeoutMs', options.timeoutMs, 10_000, 1, 3_600_000),
    headers: { ...options.headers },
  };
}
