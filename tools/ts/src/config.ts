import { messageBytesMaxOf } from './decoder.js';
import { SnifferError } from './errors.js';
import { type EngineConfig, engineDefaults } from './generated.js';
import type { Message } from './message.js';
import { quoted } from './printable.js';
import type { Transport } from './source.js';

/** Where the package writes what it has to say; `console` fits. */
export interface Logger {
  warn(text: string): void;
  error(text: string): void;
}

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

export interface RestartOptions {
  /** How often in all; default: as often as it crashes. */
  maxRestarts?: number;
  /** The first wait, doubled after each crash; back to the first after a minute without one. */
  initialDelayMs?: number;
  maxDelayMs?: number;
}

export interface WorkerOptions {
  /** A module that exports `onHttpMessage(message)`, and `onEnd()` if it wants; see README. */
  module: string | URL;
  /** Threads; default 1. */
  count?: number;
}

/** The package's own keys. */
export interface PackageConfig {
  /** Called for each message, in order. A promise is awaited before the next message. */
  onHttpMessage?: (message: Message) => unknown;
  /** POSTs the messages there, as JSON. */
  outputUrl?: string | URL | OutputUrlOptions;
  /** Writes each message as a line to standard output, or to a stream. */
  outputStdout?: boolean | NodeJS.WritableStream;
  /** The engine's binary; see findBinary for where it is looked for otherwise. */
  binaryPath?: string;
  /** Live capture: starts a crashed engine again. */
  restart?: boolean | RestartOptions;
  /** SIGINT and SIGTERM stop the sniffer, wait for it, and then act as they would have. */
  handleSignals?: boolean;
  /** Do not parse before a field is read; what is no JSON then throws there. */
  lazy?: boolean;
  /** Parse in worker threads. */
  workers?: WorkerOptions;
  /** How the engine's output is read; default `fifo`, `pipe` where no named pipe can be made. */
  transport?: Transport;
  logger?: Logger;
}

export type SnifferConfig = EngineConfig & PackageConfig;

/** The configuration, checked and taken apart. */
export interface CheckedConfig {
  engine: EngineConfig & { format: 'ndjson' | 'framed' };
  own: PackageConfig;
  url: (Required<Omit<OutputUrlOptions, 'url'>> & { url: URL }) | undefined;
  restart: Required<RestartOptions> | undefined;
  workers: { module: string; count: number } | undefined;
  /** No message of the engine is longer, as long as it keeps its own limits. */
  messageBytesMax: number;
}

const packageKeys: readonly (keyof PackageConfig)[] = [
  'onHttpMessage',
  'outputUrl',
  'outputStdout',
  'binaryPath',
  'restart',
  'handleSignals',
  'lazy',
  'workers',
  'transport',
  'logger',
];
const packageKeySet: ReadonlySet<string> = new Set(packageKeys);

function refuse(message: string): never {
  throw new SnifferError('INVALID_CONFIG', message);
}

type Kind = 'boolean' | 'function' | 'object' | 'string' | 'number';

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value instanceof URL) return quoted(value.href);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (isObject(value)) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

function demand(key: string, value: unknown, kind: Kind, allowed: string): void {
  const fits = kind === 'object' ? isObject(value) : typeof value === kind;
  if (value !== undefined && !fits)
    refuse(`${key}: ${show(value)} is not ${allowed}; allowed: ${allowed}`);
}

function wholeNumber(
  key: string,
  value: unknown,
  fallback: number,
  minimum: number,
  maximum: number,
): number {
  if (value === undefined) return fallback;
  const allowed = `a whole number from ${minimum} to ${maximum}`;
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    refuse(`${key}: ${show(value)} is not a whole number; allowed: ${allowed}`);
  }
  if (value < minimum || value > maximum) {
    refuse(`${key}: ${value} is out of range; allowed: ${allowed}`);
  }
  return value;
}

function refuseUnknown(
  key: string,
  value: Record<string, unknown>,
  known: readonly string[],
): void {
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      refuse(`${key}: unknown key ${quoted(name)}; allowed: ${known.join(', ')}`);
    }
  }
}

function checkUrl(
  value: PackageConfig['outputUrl'],
  nodeEnv: string | undefined,
): CheckedConfig['url'] {
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
  let url: URL;
  try {
    url = new URL(options.url);
  } catch {
    refuse(`outputUrl: ${show(options.url)} is not a URL; allowed: an http or https URL`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    refuse(
      `outputUrl: ${show(url.protocol)} is not http: or https:; allowed: an http or https URL`,
    );
  }
  if (nodeEnv === 'production' && url.protocol !== 'https:') {
    refuse(
      `outputUrl: ${show(url.origin)} is not encrypted; allowed with NODE_ENV=production: an https URL`,
    );
  }
  demand('outputUrl.headers', options.headers, 'object', 'an object of strings');
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
    headers: options.headers ?? {},
  };
}

function checkRestart(config: SnifferConfig): CheckedConfig['restart'] {
  const { restart, files } = config;
  if (restart === undefined || restart === false) return undefined;
  if (restart !== true && !isObject(restart)) {
    refuse(`restart: ${show(restart)} is not true or false; allowed: true, false, or an object`);
  }
  if (files !== undefined) {
    refuse(
      'restart: true together with files; the messages would come again; allowed: live capture only',
    );
  }
  const options: RestartOptions = restart === true ? {} : restart;
  refuseUnknown('restart', { ...options }, ['maxRestarts', 'initialDelayMs', 'maxDelayMs']);
  return {
    maxRestarts: wholeNumber(
      'restart.maxRestarts',
      options.maxRestarts,
      Number.MAX_SAFE_INTEGER,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    initialDelayMs: wholeNumber(
      'restart.initialDelayMs',
      options.initialDelayMs,
      1000,
      1,
      3_600_000,
    ),
    maxDelayMs: wholeNumber('restart.maxDelayMs', options.maxDelayMs, 60_000, 1, 3_600_000),
  };
}

function checkWorkers(config: SnifferConfig): CheckedConfig['workers'] {
  const { workers } = config;
  if (workers === undefined) return undefined;
  demand('workers', workers, 'object', 'an object with module and count');
  refuseUnknown('workers', { ...workers }, ['module', 'count']);
  const { module } = workers;
  if (typeof module !== 'string' && !(module instanceof URL)) {
    refuse(`workers.module: ${show(module)} is not a module; allowed: a path or a file: URL`);
  }
  for (const key of ['onHttpMessage', 'outputUrl', 'outputStdout'] as const) {
    if (config[key] !== undefined && config[key] !== false) {
      refuse(`workers: a module in worker threads together with ${key}; allowed: one of the two`);
    }
  }
  return {
    module: String(module),
    count: wholeNumber('workers.count', workers.count, 1, 1, 64),
  };
}

function checkOwn(own: PackageConfig): void {
  demand('onHttpMessage', own.onHttpMessage, 'function', 'a function');
  demand('binaryPath', own.binaryPath, 'string', 'a path');
  demand('handleSignals', own.handleSignals, 'boolean', 'true or false');
  demand('lazy', own.lazy, 'boolean', 'true or false');
  const stdout: unknown = own.outputStdout;
  if (stdout !== undefined && typeof stdout !== 'boolean') {
    const isStream = isObject(stdout) && typeof stdout.write === 'function';
    if (!isStream) {
      refuse(
        `outputStdout: ${show(stdout)} is not true or false; allowed: true, false, or a writable stream`,
      );
    }
  }
  const transports: readonly unknown[] = ['fifo', 'pipe', 'fifo-threadpool'];
  if (own.transport !== undefined && !transports.includes(own.transport)) {
    refuse(
      `transport: ${show(own.transport)} is not one of the words; allowed: one of ${transports.join(', ')}`,
    );
  }
  const logger: unknown = own.logger;
  const isLogger =
    isObject(logger) && typeof logger.warn === 'function' && typeof logger.error === 'function';
  if (logger !== undefined && !isLogger) {
    refuse(`logger: ${show(logger)} is not a logger; allowed: an object with warn and error`);
  }
}

/** A size as the engine reads it, `64K` or `1MiB` too. What the engine rejects counts as nothing. */
function bytesOf(value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  const [, digits, unit = ''] = /^(\d+)([KMGT]?)(?:IB)?$/.exec(String(value).toUpperCase()) ?? [];
  return Number(digits ?? 0) * 1024 ** ' KMGT'.indexOf(unit);
}

/** What JSON cannot carry to the engine, which rejects everything else itself. */
function refuseWhatIsNotJson(key: string, value: unknown): void {
  if (!['function', 'symbol', 'bigint'].includes(typeof value)) return;
  refuse(
    `${key}: a ${typeof value} cannot be given to the engine; allowed: the engine's keys, ${packageKeys.join(', ')}`,
  );
}

/**
 * Checks the package's own keys, and takes the configuration apart. Throws a SnifferError with the
 * code INVALID_CONFIG at the first fault. Keys whose value is undefined are not given. The engine
 * checks its keys itself when it starts.
 */
export function checkConfig(
  config: SnifferConfig,
  env: Readonly<Record<string, string | undefined>> = process.env,
): CheckedConfig {
  const given: unknown = config;
  if (!isObject(given)) refuse(`config: ${show(given)} where an object is expected`);
  const engine: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (packageKeySet.has(key)) {
      own[key] = value;
    } else {
      refuseWhatIsNotJson(key, value);
      engine[key] = value;
    }
  }
  const engineConfig = engine as EngineConfig;
  const format = engineConfig.format ?? 'ndjson';
  if (format === 'pretty') {
    refuse('format: "pretty" is for people, not for programs; allowed here: ndjson, framed');
  }
  if (engineConfig.records === 'exchange') {
    refuse(
      'records: "exchange" gives lines that are no messages; allowed here: message, of which pairStream makes exchanges',
    );
  }
  if (format === 'tsv' || format === 'csv') {
    refuse(`format: "${format}" has no messages; allowed here: ndjson, framed`);
  }
  if (engineConfig.select !== undefined && engineConfig.select.length > 0) {
    refuse('select: the messages of this package have all fields; allowed here: not given');
  }
  if (engineConfig.output !== undefined && engineConfig.output !== '-') {
    refuse(
      `output: ${show(engineConfig.output)} would keep the messages from this process; allowed here: not given`,
    );
  }
  checkOwn(own as PackageConfig);
  return {
    engine: { ...engineConfig, format },
    own: own as PackageConfig,
    url: checkUrl(config.outputUrl, env.NODE_ENV),
    restart: checkRestart(config),
    workers: checkWorkers(config),
    messageBytesMax: messageBytesMaxOf(
      bytesOf(engineConfig.maxBodySize, engineDefaults.maxBodySize),
      bytesOf(engineConfig.maxHeaderBytes, engineDefaults.maxHeaderBytes),
    ),
  };
}
