import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type CheckedConfig, checkConfig, type Logger, type SnifferConfig } from './config.js';
import { type Decoder, FrameDecoder, LineDecoder } from './decoder.js';
import { EngineRun } from './engine-run.js';
import { SnifferError, textOf } from './errors.js';
import { findBinary } from './find-binary.js';
import {
  type EngineEvent,
  type EngineEvents,
  engineEventNames,
  type StoppedEvent,
} from './generated.js';
import type { Message } from './message.js';
import { MessageQueue } from './message-queue.js';
import { StdoutOutput } from './output-stdout.js';
import { UrlOutput, type UrlOutputStats } from './output-url.js';
import { WorkerPool } from './worker-pool.js';

/** A consumer that never waits still lets timers and events through this often. */
const sliceMs = 8;
const messagesPerClockLook = 16;
/** A run this long forgets the crashes before it. */
const healthyRunMs = 60_000;
const callbackErrorsLogged = 10;

/** Codes that starting again does not heal. */
const lastingCodes: ReadonlySet<string> = new Set([
  'INVALID_CONFIG',
  'BINARY_NOT_FOUND',
  'BINARY_NOT_EXECUTABLE',
  'PERMISSION_DENIED',
]);

export interface Crash {
  error: SnifferError;
  /** Whether the engine is started again, and after how long. */
  restartInMs: number | undefined;
}

/** The events of a Sniffer and their arguments: its own, and the engine's by their names. */
export interface SnifferEvents extends EngineEvents {
  /** A message. A listener that is slow holds up the reading, see `pause` for one that waits. */
  message: [message: Message];
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
  /** Messages taken from the engine. */
  messages: number;
  /** Bytes of them. */
  bytes: number;
  malformed: number;
  /** Exceptions of onHttpMessage and of message listeners. */
  callbackErrors: number;
  /** Messages that came when nobody was there to take them. */
  unconsumed: number;
  restarts: number;
  outputUrl: UrlOutputStats | undefined;
}

type State = 'idle' | 'starting' | 'running' | 'stopping' | 'ended';

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

function defer<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

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
  readonly #queues: MessageQueue[] = [];
  #stdout: StdoutOutput | undefined;
  #url: UrlOutput | undefined;
  #paused: Deferred<void> | undefined;
  #warnedOfNoOutput = false;
  readonly #refused = new WeakSet<Message>();
  readonly #stats: SnifferStats = {
    messages: 0,
    bytes: 0,
    malformed: 0,
    callbackErrors: 0,
    unconsumed: 0,
    restarts: 0,
    outputUrl: undefined,
  };

  constructor(config: SnifferConfig) {
    super();
    this.#config = { ...config };
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
   * output. Safe to call again, and when nothing runs.
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
    for (const queue of this.#queues) queue.release();
    this.#run?.stop();
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

  /** No message is given out, and nothing is read, until `resume`. */
  pause(): void {
    this.#paused ??= defer();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  stats(): SnifferStats {
    return { ...this.#stats, outputUrl: this.#url?.stats };
  }

  /** The engine's process, while there is one. */
  get pid(): number | undefined {
    return this.#run?.pid;
  }

  /** All messages from now on; starts the sniffer when it is idle. Leaving the loop stops it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    const queue = new MessageQueue(
      (message) => this.#checked?.own.lazy === true || this.#isMessage(message),
      () => void this.stop(),
    );
    this.#queues.push(queue);
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

  get #logger(): Logger {
    return this.#checked?.own.logger ?? console;
  }

  async #start(): Promise<void> {
    try {
      const checked = checkConfig(this.#config);
      this.#checked = checked;
      this.#binary = findBinary(checked.own.binaryPath);
      const { outputStdout } = checked.own;
      if (outputStdout) {
        const stream = outputStdout === true ? process.stdout : outputStdout;
        this.#stdout = new StdoutOutput(stream, (error) => this.#onStdoutClosed(error));
      }
      if (checked.url !== undefined) {
        const token = process.env.OUTPUT_URL_AUTH_TOKEN;
        this.#url = new UrlOutput(checked.url, this.#logger, token);
      }
      const run = await this.#launch(checked);
      const delivered = this.#deliverAll(run, checked);
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
      await this.#closeOutputs();
      this.#end(undefined, error);
      throw error;
    }
  }

  async #launch(checked: CheckedConfig): Promise<EngineRun> {
    const run = await EngineRun.launch(this.#binary, checked, (event) => this.#onEvent(event));
    this.#run = run;
    if (this.#stopRequested.signal.aborted) run.stop();
    return run;
  }

  /** Sees the runs through to the last one's end. */
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
        await this.#closeOutputs();
        this.#end(stopped, fault);
        return;
      }
      if (performance.now() - begin > healthyRunMs) crashesInARow = 0;
      const wait = this.#restartDelay(checked, fault, crashesInARow);
      this.#reportCrash({ error: fault, restartInMs: wait });
      if (wait === undefined) {
        await this.#closeOutputs();
        this.#end(undefined, fault);
        return;
      }
      crashesInARow += 1;
      this.#stats.restarts += 1;
      await delay(wait, undefined, { signal: this.#stopRequested.signal }).catch(() => {});
      if (this.#stopRequested.signal.aborted) {
        await this.#closeOutputs();
        this.#end(undefined, undefined);
        return;
      }
      try {
        run = await this.#launch(checked);
      } catch (launchError) {
        await this.#closeOutputs();
        this.#end(undefined, launchError);
        return;
      }
      delivered = this.#deliverAll(run, checked);
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

  async #closeOutputs(): Promise<void> {
    await Promise.all([this.#stdout?.end(), this.#url?.end()]);
  }

  #end(stopped: StoppedEvent | undefined, error: unknown): void {
    this.#state = 'ended';
    if (this.#signalHandler !== undefined) {
      process.off('SIGINT', this.#signalHandler);
      process.off('SIGTERM', this.#signalHandler);
    }
    for (const queue of this.#queues) queue.end(error);
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

  #onStdoutClosed(error: Error): void {
    const quiet = (error as NodeJS.ErrnoException).code === 'EPIPE';
    if (!quiet) this.#logger.error(`tcp-sniffer: outputStdout: ${error.message}`);
    void this.stop();
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

  /** Reads a run's output to its end and gives every message to every output. Rejects when the
   * output is corrupt. */
  async #deliverAll(run: EngineRun, checked: CheckedConfig): Promise<void> {
    try {
      // Who awaits start() and then attaches a consumer has done so one turn later.
      await run.started.catch(() => {});
      await nextTurn();
      const Reader = checked.engine.format === 'framed' ? FrameDecoder : LineDecoder;
      const decoder = new Reader(checked.messageBytesMax, (bytes, reason) =>
        this.#onMalformed(bytes, reason),
      );
      if (checked.workers === undefined) await this.#deliverHere(run, decoder, checked);
      else await this.#deliverToWorkers(run, decoder, checked, checked.workers);
    } catch (error) {
      run.kill();
      throw error;
    } finally {
      run.source.close();
    }
  }

  async #deliverHere(run: EngineRun, decoder: Decoder, checked: CheckedConfig): Promise<void> {
    let untilLook = messagesPerClockLook;
    let sliceEnd = performance.now() + sliceMs;
    for (;;) {
      const chunk = await run.source.read();
      if (chunk === null) break;
      decoder.push(chunk);
      for (let message = decoder.next(); message !== null; message = decoder.next()) {
        if (this.#paused !== undefined) await this.#paused.promise;
        const wait = this.#deliver(message, checked);
        if (wait !== undefined) await wait;
        untilLook -= 1;
        if (untilLook > 0) continue;
        untilLook = messagesPerClockLook;
        if (performance.now() < sliceEnd) continue;
        await nextTurn();
        sliceEnd = performance.now() + sliceMs;
      }
      const flushed = this.#stdout?.flush();
      if (flushed !== undefined) await flushed;
    }
    decoder.end();
  }

  /** Gives one message to every output; a promise when one of them is not ready for the next. */
  #deliver(message: Message, checked: CheckedConfig): Promise<unknown> | undefined {
    const { onHttpMessage, lazy } = checked.own;
    const listened = this.listenerCount('message') > 0;
    const queues = this.#queues;
    this.#stats.messages += 1;
    this.#stats.bytes += message.byteLength;
    const isReadNow = onHttpMessage !== undefined || listened;
    if (isReadNow && !lazy && !this.#isMessage(message)) return undefined;
    let waits: Promise<unknown>[] | undefined;
    const waitFor = (wait: Promise<unknown> | undefined): void => {
      if (wait === undefined) return;
      waits ??= [];
      waits.push(wait);
    };
    if (onHttpMessage !== undefined) waitFor(this.#call(onHttpMessage, message));
    if (listened) this.#emitSafely('message', message);
    for (const queue of queues) waitFor(queue.push(message));
    if (this.#stdout !== undefined) waitFor(this.#stdout.write(message));
    if (this.#url !== undefined) waitFor(this.#url.write(message));
    const isTaken = queues.length > 0 || this.#stdout !== undefined || this.#url !== undefined;
    if (!isReadNow && !isTaken) this.#onUnconsumed();
    if (waits === undefined) return undefined;
    return waits.length === 1 ? waits[0] : Promise.all(waits);
  }

  /** Parses; what is no message is reported once, and was none to count. */
  #isMessage(message: Message): boolean {
    try {
      message.parse();
      return true;
    } catch (error) {
      if (this.#refused.has(message)) return false;
      this.#refused.add(message);
      this.#stats.messages -= 1;
      this.#stats.bytes -= message.byteLength;
      this.#onMalformed(message.raw.subarray(0, 1024), textOf(error).split('\n', 1)[0] ?? '');
      return false;
    }
  }

  #call(onHttpMessage: (message: Message) => unknown, message: Message): Promise<void> | undefined {
    try {
      const result = onHttpMessage(message);
      if (typeof result !== 'object' || result === null || !('then' in result)) return undefined;
      return Promise.resolve(result as PromiseLike<unknown>).then(
        () => undefined,
        (error) => this.#onCallbackError('onHttpMessage', error),
      );
    } catch (error) {
      this.#onCallbackError('onHttpMessage', error);
      return undefined;
    }
  }

  #onUnconsumed(): void {
    this.#stats.unconsumed += 1;
    if (this.#warnedOfNoOutput) return;
    this.#warnedOfNoOutput = true;
    this.#logger.warn(
      'tcp-sniffer: no output: neither onHttpMessage, outputUrl, outputStdout, a message listener nor an iteration takes the messages',
    );
  }

  async #deliverToWorkers(
    run: EngineRun,
    decoder: Decoder,
    checked: CheckedConfig,
    workers: NonNullable<CheckedConfig['workers']>,
  ): Promise<void> {
    const pool = new WorkerPool(workers.module, workers.count, checked.engine.format, {
      onResults: (results, reply) => {
        this.#stats.messages += reply.messages;
        this.#stats.bytes += reply.bytes;
        for (let i = 0; i < reply.malformed; i += 1) {
          this.#onMalformed(Buffer.alloc(0), 'not JSON, found in a worker');
        }
        if (reply.firstError !== undefined) {
          this.#onCallbackError('the workers\u2019 module', reply.firstError);
          this.#stats.callbackErrors += reply.callbackErrors - 1;
        }
        for (const result of results) this.#emitSafely('result', result);
      },
    });
    try {
      for (;;) {
        const chunk = await run.source.read();
        if (chunk === null) break;
        decoder.push(chunk);
        if (this.#paused !== undefined) await this.#paused.promise;
        const block = decoder.nextBlock();
        if (block !== null) await pool.submit(block);
      }
      decoder.end();
      await pool.end();
    } catch (error) {
      await pool.terminate();
      throw error;
    }
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
