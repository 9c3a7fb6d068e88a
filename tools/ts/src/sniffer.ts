import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type CheckedConfig, checkConfig, type Logger, type SnifferConfig } from './config.js';
import { defer } from './deferred.js';
import { type Delivered, Delivery } from './delivery.js';
import { EngineRun } from './engine-run.js';
import { SnifferError, textOf } from './errors.js';
import { findBinary } from './find-binary.js';
import { type EngineEvent, engineEventNames, type StoppedEvent } from './generated.js';
import type { Message } from './message.js';
import { MessageQueue } from './message-queue.js';
import { type Exchange, type PairOptions, pairStream } from './pair.js';
import type { Crash, SnifferEvents, SnifferStats } from './sniffer-events.js';

/** A run this long forgets the crashes before it. */
const healthyRunMs = 60_000;
const callbackErrorsLogged = 10;

/** Codes of errors that a new start would meet again. */
const lastingCodes: ReadonlySet<string> = new Set([
  'INVALID_CONFIG',
  'BINARY_NOT_FOUND',
  'BINARY_NOT_EXECUTABLE',
  'PERMISSION_DENIED',
]);

type State = 'idle' | 'starting' | 'running' | 'stopping' | 'ended';

/**
 * One engine and the ways its messages take: `message` events, `onHttpMessage`, asynchronous
 * iteration, `outputUrl`, `outputStdout`; all may be used at once, and each gets every message in
 * the engine's order. The slowest decides: while one of them is not ready, nothing is read, the
 * pipe fills, and the engine's `overload` policy decides. A sniffer runs once.
 */
export class Sniffer extends EventEmitter {
  readonly #config: SnifferConfig;
  #checked: CheckedConfig | undefined;
  #binary = '';
  #state: State = 'idle';
  #run: EngineRun | undefined;
  #finished = defer<StoppedEvent | undefined>();
  #started: Promise<void> | undefined;
  #stopRequested = new AbortController();
  #signalHandler: ((signal: NodeJS.Signals) => void) | undefined;
  readonly #stats: SnifferStats = {
    messages: 0,
    bytes: 0,
    malformed: 0,
    callbackErrors: 0,
    unconsumed: 0,
    restarts: 0,
    outputUrl: undefined,
  };
  readonly #delivery = new Delivery(this.#stats, {
    emit: (event, ...args) => this.#emitSafely(event, ...args),
    isListenedTo: (event) => this.listenerCount(event) > 0,
    onMalformed: (bytes, reason) => this.#onMalformed(bytes, reason),
    onCallbackError: (who, error) => this.#onCallbackError(who, error),
    logger: () => this.#logger,
    stop: () => void this.stop(),
  });

  constructor(config: SnifferConfig) {
    super({ captureRejections: true });
    this.#config = { ...config };
  }

  /** A listener that is an async function and rejects. */
  [Symbol.for('nodejs.rejection')](error: unknown, event: string | symbol): void {
    this.#onCallbackError(`a listener of ${String(event)}`, error);
  }

  override on<K extends keyof SnifferEvents>(
    event: K,
    listener: (...args: SnifferEvents[K]) => void,
  ): this {
    return super.on(event, listener as (...args: unknown[]) => void);
  }

  override once<K extends keyof SnifferEvents>(
    event: K,
    listener: (...args: SnifferEvents[K]) => void,
  ): this {
    return super.once(event, listener as (...args: unknown[]) => void);
  }

  override off<K extends keyof SnifferEvents>(
    event: K,
    listener: (...args: SnifferEvents[K]) => void,
  ): this {
    return super.off(event, listener as (...args: unknown[]) => void);
  }

  /**
   * Checks the configuration, starts the engine and resolves at its `started` event. Rejects with
   * a SnifferError whose `code` is the engine's word, or the package's, for what went wrong.
   */
  start(): Promise<void> {
    if (this.#state !== 'idle') {
      return Promise.reject(
        new SnifferError('INVALID_STATE', `a sniffer runs once; this one is ${this.#state}`),
      );
    }
    this.#state = 'starting';
    this.#started = this.#start();
    return this.#started;
  }

  /**
   * Asks the engine to drain, and resolves when every message that it wrote has been given to every
   * output. Safe to call again, and when nothing runs. Called by a handler before its first `await`
   * it resolves at once, because the messages after this one wait for the handler; later in a
   * handler it must not be awaited.
   */
  async stop(): Promise<void> {
    if (this.#state === 'idle') {
      this.#end(undefined, undefined);
      return;
    }
    if (this.#state === 'ended') return;
    this.#state = 'stopping';
    this.#stopRequested.abort();
    this.resume();
    for (const queue of this.#delivery.queues) queue.release();
    this.#run?.stop();
    if (this.#delivery.isInHandler) return;
    await this.#finished.promise.catch(() => {});
  }

  /** Whether the engine has started and not everything has been delivered. */
  isRunning(): boolean {
    return this.#state === 'running' || this.#state === 'stopping';
  }

  /** Resolves with the engine's `stopped` event when all is over; rejects after a crash that was
   * not followed by a restart. */
  finished(): Promise<StoppedEvent | undefined> {
    return this.#finished.promise;
  }

  /** No message is given out, and nothing is read, until `resume`. A sniffer that is being stopped
   * gives out what is there and does not pause. */
  pause(): void {
    if (this.#state === 'stopping' || this.#state === 'ended') return;
    this.#delivery.pause();
  }

  resume(): void {
    this.#delivery.resume();
  }

  stats(): SnifferStats {
    return { ...this.#stats, outputUrl: this.#delivery.urlStats };
  }

  /** The engine's process, while there is one. */
  get pid(): number | undefined {
    return this.#run?.pid;
  }

  /** All messages from now on; starts the sniffer when it is idle. Leaving the loop stops it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    if (this.#config.records === 'exchange') {
      throw new SnifferError(
        'INVALID_STATE',
        'a loop over the sniffer takes messages; with records: "exchange" loop over sniffer.exchanges()',
      );
    }
    return this.#iterate() as MessageQueue<Message>;
  }

  /**
   * All exchanges from now on; starts the sniffer when it is idle. Leaving the loop stops it. With
   * `records: 'exchange'` they are the engine's, otherwise pairs of messages, as `pairStream` makes
   * them.
   */
  exchanges(options?: PairOptions): AsyncIterableIterator<Exchange<Message>> {
    if (this.#config.records !== 'exchange') return pairStream(this, options);
    return this.#iterate() as AsyncIterableIterator<Delivered> as AsyncIterableIterator<
      Exchange<Message>
    >;
  }

  #iterate(): MessageQueue<Delivered> {
    const queue = new MessageQueue<Delivered>(
      (message) => this.#checked?.own.lazy === true || this.#delivery.isMessage(message),
      () => void this.stop(),
    );
    this.#delivery.queues.push(queue);
    if (this.#state === 'stopping') queue.release();
    if (this.#state === 'idle') this.start().catch(() => {});
    if (this.#state === 'ended') {
      this.#finished.promise.then(
        () => queue.end(),
        (error) => queue.end(error),
      );
    }
    return queue;
  }

  /** The logger, whose own exceptions harm nothing. */
  get #logger(): Logger {
    const logger = this.#checked?.own.logger ?? console;
    const guarded = (level: keyof Logger) => (text: string) => {
      try {
        logger[level](text);
      } catch {
        // Nothing is left to report it to.
      }
    };
    return { warn: guarded('warn'), error: guarded('error') };
  }

  async #start(): Promise<void> {
    try {
      const checked = checkConfig(this.#config);
      this.#checked = checked;
      this.#binary = findBinary(checked.own.binaryPath);
      this.#delivery.open(checked);
      const run = await this.#launch(checked);
      const delivered = this.#delivery.run(run, checked);
      delivered.catch(() => {});
      try {
        await run.started;
      } catch (error) {
        await delivered.catch(() => {});
        throw error;
      }
      if (this.#state === 'starting') this.#state = 'running';
      if (checked.own.handleSignals) this.#handleSignals();
      void this.#supervise(run, delivered, checked);
    } catch (error) {
      await this.#delivery.close();
      const isStopped = error instanceof SnifferError && error.code === 'INVALID_STATE';
      this.#end(undefined, isStopped ? undefined : error);
      throw error;
    }
  }

  async #launch(checked: CheckedConfig): Promise<EngineRun> {
    const run = await EngineRun.launch(this.#binary, checked, (event) => this.#onEvent(event));
    this.#run = run;
    if (this.#stopRequested.signal.aborted) run.stop();
    return run;
  }

  /** Follows the runs to the end of the last one. */
  async #supervise(
    first: EngineRun,
    firstDelivered: Promise<void>,
    checked: CheckedConfig,
  ): Promise<void> {
    let run = first;
    let delivered = firstDelivered;
    let crashesInARow = 0;
    for (;;) {
      const begin = performance.now();
      const failure = await delivered.then(
        () => undefined,
        (error: unknown) => error,
      );
      const { error, stopped } = await run.ended;
      const fault = faultOf(failure) ?? error;
      const stopping = this.#stopRequested.signal.aborted;
      if (fault === undefined || stopping) {
        // A crash while draining is still one: messages may be missing.
        if (fault !== undefined) this.#reportCrash({ error: fault, restartInMs: undefined });
        await this.#delivery.close();
        this.#end(stopped, fault);
        return;
      }
      if (performance.now() - begin > healthyRunMs) crashesInARow = 0;
      const wait = this.#restartDelay(checked, fault, crashesInARow);
      this.#reportCrash({ error: fault, restartInMs: wait });
      if (wait === undefined) {
        await this.#delivery.close();
        this.#end(undefined, fault);
        return;
      }
      crashesInARow += 1;
      this.#stats.restarts += 1;
      await delay(wait, undefined, { signal: this.#stopRequested.signal }).catch(() => {});
      if (this.#stopRequested.signal.aborted) {
        await this.#delivery.close();
        this.#end(undefined, undefined);
        return;
      }
      try {
        run = await this.#launch(checked);
      } catch (launchError) {
        await this.#delivery.close();
        this.#end(undefined, launchError);
        return;
      }
      delivered = this.#delivery.run(run, checked);
    }
  }

  #restartDelay(
    checked: CheckedConfig,
    error: SnifferError,
    crashesInARow: number,
  ): number | undefined {
    const { restart } = checked;
    if (restart === undefined || lastingCodes.has(error.code)) return undefined;
    if (this.#stats.restarts >= restart.maxRestarts) return undefined;
    return Math.min(restart.initialDelayMs * 2 ** crashesInARow, restart.maxDelayMs);
  }

  #reportCrash(crash: Crash): void {
    const { error, restartInMs } = crash;
    const next = restartInMs === undefined ? '' : `; starting again in ${restartInMs} ms`;
    const lastWords = error.lastWords ? `\n${error.lastWords}` : '';
    this.#logger.error(`tcp-sniffer: ${error.code}: ${error.message}${next}${lastWords}`);
    this.#emitSafely('crash', crash);
  }

  #end(stopped: StoppedEvent | undefined, error: unknown): void {
    this.#state = 'ended';
    if (this.#signalHandler !== undefined) {
      process.off('SIGINT', this.#signalHandler);
      process.off('SIGTERM', this.#signalHandler);
    }
    for (const queue of this.#delivery.queues) queue.end(error);
    if (error === undefined) this.#finished.resolve(stopped);
    else this.#finished.reject(error);
    this.#emitSafely('end', stopped);
  }

  #handleSignals(): void {
    this.#signalHandler = (signal) => {
      // The handlers are off when the sniffer has ended: the signal then does what it always does.
      void this.stop().then(() => process.kill(process.pid, signal));
    };
    process.once('SIGINT', this.#signalHandler);
    process.once('SIGTERM', this.#signalHandler);
  }

  #onEvent(event: EngineEvent): void {
    this.#emitSafely('event', event);
    if ((engineEventNames as readonly string[]).includes(event.event)) {
      this.#emitSafely(event.event, event);
    }
  }

  #onMalformed(bytes: Buffer, reason: string): void {
    this.#stats.malformed += 1;
    if (this.#stats.malformed === 1) {
      this.#logger.warn(
        `tcp-sniffer: the engine wrote what is no message (${reason}); see the malformed event`,
      );
    }
    this.#emitSafely('malformed', bytes, reason);
  }

  /** A listener's exception is logged and harms nothing. */
  #emitSafely(event: string, ...args: unknown[]): void {
    try {
      super.emit(event, ...args);
    } catch (error) {
      this.#onCallbackError(`a listener of ${event}`, error);
    }
  }

  #onCallbackError(who: string, error: unknown): void {
    this.#stats.callbackErrors += 1;
    if (this.#stats.callbackErrors > callbackErrorsLogged) return;
    const last = this.#stats.callbackErrors === callbackErrorsLogged;
    this.#logger.error(
      `tcp-sniffer: ${who} threw: ${textOf(error)}${last ? '\nfurther ones are only counted' : ''}`,
    );
  }
}

/** What ended a delivery, as an error with a code. */
function faultOf(failure: unknown): SnifferError | undefined {
  if (failure === undefined || failure instanceof SnifferError) return failure;
  return new SnifferError('INTERNAL', textOf(failure), { cause: failure });
}

/** A sniffer that has not started. The configuration is checked by `start`. */
export function createSniffer(config: SnifferConfig): Sniffer {
  return new Sniffer(config);
}
