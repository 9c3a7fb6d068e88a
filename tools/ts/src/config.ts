import { type CheckedUrl, checkUrl, type OutputUrlOptions } from './config-url.js';
import {
  bytesOf,
  demand,
  isObject,
  refuse,
  refuseUnknown,
  show,
  wholeNumber,
} from './config-values.js';
import { messageBytesMaxOf } from './decoder.js';
import type { ExchangeRecord } from './exchange-record.js';
import { type EngineConfig, engineDefaults } from './generated.js';
import type { Message } from './message.js';
import { type Transport, transports } from './source.js';
import type { MessageFormat } from './worker-pool.js';

/** Where the package writes what it has to say; `console` fits. */
export interface Logger {
  warn(text: string): void;
  error(text: string): void;
}

export type { OutputUrlOptions };

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
  /** With `records: 'exchange'`: called for each exchange, in order, as `onHttpMessage` is. */
  onExchange?: (exchange: ExchangeRecord) => unknown;
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
  /** With format ndjson or framed: do not parse before a field is read; what is no JSON then throws
   * there. Packed messages are never parsed. */
  lazy?: boolean;
  /** Give `onHttpMessage` and listeners the same object for every message: it is valid until the
   * handler returns, or the promise that it returned is resolved. For format packed. */
  reuse?: boolean;
  /** Parse in worker threads. */
  workers?: WorkerOptions;
  /** How the engine's output is read; default `socket`, `pipe` where no pair can be made. */
  transport?: Transport;
  logger?: Logger;
}

export type SnifferConfig = EngineConfig & PackageConfig;

/** The configuration, checked and taken apart. */
export interface CheckedConfig {
  engine: EngineConfig & { format: MessageFormat };
  own: PackageConfig;
  /** What the engine's lines are. */
  records: 'message' | 'exchange';
  url: CheckedUrl | undefined;
  restart: Required<RestartOptions> | undefined;
  workers: { module: string; count: number } | undefined;
  /** No message of the engine is longer, as long as it keeps its own limits. */
  messageBytesMax: number;
}

const packageKeys: readonly (keyof PackageConfig)[] = [
  'onHttpMessage',
  'onExchange',
  'outputUrl',
  'outputStdout',
  'binaryPath',
  'restart',
  'handleSignals',
  'lazy',
  'reuse',
  'workers',
  'transport',
  'logger',
];
const packageKeySet: ReadonlySet<string> = new Set(packageKeys);

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
  if (config.records === 'exchange') {
    refuse('workers: they get messages; allowed together with records: "exchange": not given');
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

/** A handler for what the engine does not write would never be called. */
function checkHandlers(own: PackageConfig, records: CheckedConfig['records']): void {
  demand('onHttpMessage', own.onHttpMessage, 'function', 'a function');
  demand('onExchange', own.onExchange, 'function', 'a function');
  if (records === 'exchange' && own.onHttpMessage !== undefined) {
    refuse('onHttpMessage: it takes messages; allowed with records: "exchange": onExchange');
  }
  if (records === 'message' && own.onExchange !== undefined) {
    refuse('onExchange: it takes exchanges; allowed: together with records: "exchange"');
  }
}

function checkOwn(own: PackageConfig): void {
  demand('binaryPath', own.binaryPath, 'string', 'a path');
  demand('handleSignals', own.handleSignals, 'boolean', 'true or false');
  demand('lazy', own.lazy, 'boolean', 'true or false');
  demand('reuse', own.reuse, 'boolean', 'true or false');
  const stdout: unknown = own.outputStdout;
  if (stdout !== undefined && typeof stdout !== 'boolean') {
    const isStream = isObject(stdout) && typeof stdout.write === 'function';
    if (!isStream) {
      refuse(
        `outputStdout: ${show(stdout)} is not true or false; allowed: true, false, or a writable stream`,
      );
    }
  }
  if (own.transport !== undefined && !(transports as readonly unknown[]).includes(own.transport)) {
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

/** Room for the interim responses of one exchange. */
const interimBytesMax = 67_108_864;

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
  const records = engineConfig.records === 'exchange' ? 'exchange' : 'message';
  const format = engineConfig.format ?? 'packed';
  if (format === 'pretty') {
    refuse(
      'format: "pretty" is for people, not for programs; allowed here: packed, ndjson, framed',
    );
  }
  if (format === 'tsv' || format === 'csv') {
    refuse(`format: "${format}" has no messages; allowed here: packed, ndjson, framed`);
  }
  if (format !== 'packed' && engineConfig.select !== undefined && engineConfig.select.length > 0) {
    refuse(
      `select: together with format: "${format}", whose lines are read as whole messages; allowed here: format packed`,
    );
  }
  if (engineConfig.output !== undefined && engineConfig.output !== '-') {
    refuse(
      `output: ${show(engineConfig.output)} would keep the messages from this process; allowed here: not given`,
    );
  }
  checkHandlers(own as PackageConfig, records);
  checkOwn(own as PackageConfig);
  const messageBytesMax = messageBytesMaxOf(
    bytesOf(engineConfig.maxBodySize ?? engineDefaults.maxBodySize) ?? 0,
    bytesOf(engineConfig.maxHeaderBytes ?? engineDefaults.maxHeaderBytes) ?? 0,
  );
  return {
    engine: { ...engineConfig, format },
    own: own as PackageConfig,
    records,
    url: checkUrl(config.outputUrl, env),
    restart: checkRestart(config),
    workers: checkWorkers(config),
    messageBytesMax:
      records === 'message' ? messageBytesMax : 2 * messageBytesMax + interimBytesMax,
  };
}
