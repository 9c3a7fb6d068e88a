import type { SnifferError } from './errors.js';
import type { ExchangeRecord } from './exchange-record.js';
import type { EngineEvent, EngineEvents, StoppedEvent } from './generated.js';
import type { Message } from './message.js';
import type { UrlOutputStats } from './output-url.js';

export interface Crash {
  error: SnifferError;
  /** Whether the engine is started again, and after how long. */
  restartInMs: number | undefined;
}

/** The events of a Sniffer and their arguments: its own, and the engine's by their names. */
export interface SnifferEvents extends EngineEvents {
  /** A message. A listener that is slow holds up the reading, see `pause` for one that waits. */
  message: [message: Message];
  /** With `records: 'exchange'`, instead of `message`. */
  exchange: [exchange: ExchangeRecord];
  /** What a worker's module returned. */
  result: [result: unknown];
  /** Any event of the engine, also of kinds that this version does not know. */
  event: [event: EngineEvent];
  /** What the engine wrote and is no message: its first bytes, and why. */
  malformed: [bytes: Buffer, reason: string];
  /** The engine ended with an error after it had started. */
  crash: [crash: Crash];
  /** Everything is over: every message has been given to every output. */
  end: [stopped: StoppedEvent | undefined];
}

export interface SnifferStats {
  /** Messages taken from the engine; with `records: 'exchange'`, exchanges. */
  messages: number;
  /** Bytes of them. */
  bytes: number;
  malformed: number;
  /** Exceptions and rejections of onHttpMessage, onExchange and listeners. */
  callbackErrors: number;
  /** Messages that came when nobody was there to take them. */
  unconsumed: number;
  restarts: number;
  outputUrl: UrlOutputStats | undefined;
}
