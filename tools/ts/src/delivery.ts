import type { CheckedConfig, Logger } from './config.js';
import { type Decoder, FrameDecoder, LineDecoder, type MalformedListener } from './decoder.js';
import { type Deferred, defer, nextTurn } from './deferred.js';
import type { EngineRun } from './engine-run.js';
import { textOf } from './errors.js';
import { ExchangeRecord } from './exchange-record.js';
import type { Message } from './message.js';
import type { MessageQueue } from './message-queue.js';
import { StdoutOutput } from './output-stdout.js';
import { UrlOutput, type UrlOutputStats } from './output-url.js';
import { PackedDecoder, PackedExchangeDecoder } from './packed-decoder.js';
import type { SnifferStats } from './sniffer-events.js';
import { largeMin } from './source.js';
import { WorkerPool } from './worker-pool.js';

/** A consumer that never waits still lets timers and events through this often. */
const sliceMs = 8;
const messagesPerClockLook = 16;

/** What the engine's lines become. */
export type Delivered = Message | ExchangeRecord;

type Handler = (delivered: Delivered) => unknown;

/** What the configuration says about each message, looked up once. */
interface Plan {
  isExchange: boolean;
  event: 'message' | 'exchange';
  handlerName: 'onHttpMessage' | 'onExchange';
  handler: Handler | undefined;
  /** Messages that are read are parsed before they are given out. */
  isParsed: boolean;
  /** Those that are written are, because a frame becomes a line by being read. */
  isParsedToWrite: boolean;
  isFramed: boolean;
  reuse: boolean;
}

function planOf({ own, records, engine }: CheckedConfig): Plan {
  const isExchange = records === 'exchange';
  const handlerName = isExchange ? 'onExchange' : 'onHttpMessage';
  return {
    isExchange,
    event: isExchange ? 'exchange' : 'message',
    handlerName,
    handler: own[handlerName] as Handler | undefined,
    // Records are no text.
    isParsed: own.lazy !== true && engine.format !== 'packed',
    isParsedToWrite: engine.format === 'framed',
    isFramed: engine.format === 'framed',
    reuse: own.reuse === true,
  };
}

/** What a delivery asks of its sniffer. */
export interface DeliveryHost {
  /** Must not throw. */
  emit(event: 'message' | 'exchange' | 'result', argument: unknown): void;
  /** Whether anyone takes such events. */
  isListenedTo(event: 'message' | 'exchange'): boolean;
  onMalformed(bytes: Buffer, reason: string): void;
  onCallbackError(who: string, error: unknown): void;
  logger(): Logger;
  /** Asks for the end of the sniffer. */
  stop(): void;
}

/**
 * The ways a sniffer's messages take, over all runs of its engine: every message is given to every
 * output in the engine's order, and the next is read when all of them are ready.
 */
export class Delivery {
  /** Of messages, or with `records: 'exchange'` of exchanges. */
  readonly queues: MessageQueue<Delivered>[] = [];
  readonly #stats: SnifferStats;
  readonly #host: DeliveryHost;
  #stdout: StdoutOutput | undefined;
  #url: UrlOutput | undefined;
  #paused: Deferred<void> | undefined;
  #warnedOfNoOutput = false;
  #isInHandler = false;
  /** Messages until the next look at the clock, and when the event loop gets its turn. */
  #untilLook = messagesPerClockLook;
  #sliceEnd = 0;
  readonly #refused = new WeakSet<Delivered>();

  /** Counts messages, bytes, callback errors and unconsumed messages in `stats`. */
  constructor(stats: SnifferStats, host: DeliveryHost) {
    this.#stats = stats;
    this.#host = host;
  }

  /** Opens the outputs that the configuration names. */
  open(checked: CheckedConfig): void {
    const { outputStdout } = checked.own;
    if (outputStdout) {
      const stream = outputStdout === true ? process.stdout : outputStdout;
      this.#stdout = new StdoutOutput(stream, (error) => this.#onStdoutClosed(error));
    }
    if (checked.url !== undefined) {
      const token = process.env.OUTPUT_URL_AUTH_TOKEN;
      this.#url = new UrlOutput(checked.url, this.#host.logger(), token);
    }
  }

  /** Resolves when the outputs have given away what they hold. */
  async close(): Promise<void> {
    const ends = [this.#stdout?.end(), this.#url?.end()];
    for (const end of await Promise.allSettled(ends)) {
      if (end.status === 'fulfilled') continue;
      this.#host.logger().error(`tcp-sniffer: an output did not end: ${textOf(end.reason)}`);
    }
  }

  pause(): void {
    this.#paused ??= defer();
  }

  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  /** Whether a handler runs, which has not returned yet. */
  get isInHandler(): boolean {
    return this.#isInHandler;
  }

  get urlStats(): UrlOutputStats | undefined {
    return this.#url?.stats;
  }

  /** Reads a run's output to its end and gives every message to every output. Rejects when the
   * output is corrupt. */
  async run(run: EngineRun, checked: CheckedConfig): Promise<void> {
    try {
      // A caller that awaits start() and then attaches a consumer has done so one turn later.
      await run.started.catch(() => {});
      await nextTurn();
      const decoder = decoderOf(checked, (bytes, reason) => this.#host.onMalformed(bytes, reason));
      if (checked.workers === undefined) await this.#deliverHere(run, decoder, checked);
      else await this.#deliverToWorkers(run, decoder, checked, checked.workers);
    } catch (error) {
      run.kill();
      throw error;
    } finally {
      run.source.close();
    }
  }

  async #deliverHere(
    run: EngineRun,
    decoder: Decoder<Delivered>,
    checked: CheckedConfig,
  ): Promise<void> {
    const plan = planOf(checked);
    this.#sliceEnd = performance.now() + sliceMs;
    for (;;) {
      const chunk = await run.source.read();
      if (chunk === null) break;
      decoder.push(chunk);
      for (;;) {
        const wait = this.#deliverNext(decoder, plan);
        if (wait === undefined) break;
        await wait;
      }
      if (decoder.pendingBytes >= largeMin) run.source.expectLarge();
      const flushed = this.#stdout?.flush();
      if (flushed !== undefined) await flushed;
    }
    decoder.end();
  }

  /** Gives out messages until there is something to wait for; nothing: the decoder has no more. A
   * loop without `await`, which the compiler likes. */
  #deliverNext(decoder: Decoder<Delivered>, plan: Plan): Promise<unknown> | undefined {
    for (;;) {
      if (this.#paused !== undefined) return this.#paused.promise;
      if (this.#untilLook === 0) {
        this.#untilLook = messagesPerClockLook;
        if (performance.now() >= this.#sliceEnd) return this.#nextSlice();
      }
      const message = decoder.next();
      if (message === null) return undefined;
      this.#untilLook -= 1;
      const wait = this.#deliver(message, plan);
      if (wait !== undefined) return wait;
    }
  }

  async #nextSlice(): Promise<void> {
    await nextTurn();
    this.#sliceEnd = performance.now() + sliceMs;
  }

  /** Gives one message to every output; a promise when one of them is not ready for the next. */
  #deliver(decoded: Delivered, plan: Plan): Promise<unknown> | undefined {
    const { handler, event } = plan;
    const message = plan.isExchange ? exchangeOf(decoded, plan) : decoded;
    const isListened = this.#host.isListenedTo(event);
    this.#stats.messages += 1;
    this.#stats.bytes += message.byteLength;
    const isReadNow = handler !== undefined || isListened;
    const isWritten = this.#stdout !== undefined || this.#url !== undefined;
    const isParsed = (isReadNow && plan.isParsed) || (isWritten && plan.isParsedToWrite);
    if (isParsed && !this.isMessage(message)) return undefined;
    const called =
      handler === undefined ? undefined : this.#call(plan.handlerName, handler, message);
    if (isListened) this.#host.emit(event, message);
    if (!isWritten && this.queues.length === 0) {
      if (!isReadNow) this.#onUnconsumed(plan.isExchange);
      return called;
    }
    const waits = this.#keep(plan.reuse ? message.detach() : message);
    if (called !== undefined) waits.push(called);
    return waits.length < 2 ? waits[0] : Promise.all(waits);
  }

  /** Gives a message to the outputs that keep it. */
  #keep(message: Delivered): Promise<unknown>[] {
    const waits: Promise<unknown>[] = [];
    for (const queue of this.queues) {
      const wait = queue.push(message);
      if (wait !== undefined) waits.push(wait);
    }
    const written = [this.#stdout?.write(message), this.#url?.write(message)];
    for (const wait of written) if (wait !== undefined) waits.push(wait);
    return waits;
  }

  /** Parses; what is no message is reported once, and was none to count. */
  isMessage(message: Delivered): boolean {
    try {
      message.parse();
      return true;
    } catch (error) {
      if (this.#refused.has(message)) return false;
      this.#refused.add(message);
      this.#stats.messages -= 1;
      this.#stats.bytes -= message.byteLength;
      this.#host.onMalformed(message.raw.subarray(0, 1024), textOf(error).split('\n', 1)[0] ?? '');
      return false;
    }
  }

  #call(
    name: string,
    handler: (delivered: Delivered) => unknown,
    message: Delivered,
  ): Promise<void> | undefined {
    try {
      this.#isInHandler = true;
      const result = handler(message);
      this.#isInHandler = false;
      if (typeof result !== 'object' || result === null || !('then' in result)) return undefined;
      return Promise.resolve(result as PromiseLike<unknown>).then(
        () => undefined,
        (error) => this.#host.onCallbackError(name, error),
      );
    } catch (error) {
      this.#isInHandler = false;
      this.#host.onCallbackError(name, error);
      return undefined;
    }
  }

  #onUnconsumed(isExchange: boolean): void {
    this.#stats.unconsumed += 1;
    if (this.#warnedOfNoOutput) return;
    this.#warnedOfNoOutput = true;
    const takers = isExchange
      ? 'onExchange, outputUrl, outputStdout, an exchange listener nor exchanges() takes the exchanges'
      : 'onHttpMessage, outputUrl, outputStdout, a message listener nor an iteration takes the messages';
    this.#host.logger().warn(`tcp-sniffer: no output: neither ${takers}`);
  }

  async #deliverToWorkers(
    run: EngineRun,
    decoder: Decoder<Delivered>,
    checked: CheckedConfig,
    workers: NonNullable<CheckedConfig['workers']>,
  ): Promise<void> {
    const pool = new WorkerPool(workers.module, workers.count, checked.engine.format, {
      onResults: (results, reply) => {
        this.#stats.messages += reply.messages;
        this.#stats.bytes += reply.bytes;
        for (let i = 0; i < reply.malformed; i += 1) {
          this.#host.onMalformed(Buffer.alloc(0), `${reply.firstFault}, found in a worker`);
        }
        if (reply.firstError !== undefined) {
          this.#host.onCallbackError('the workers\u2019 module', reply.firstError);
          this.#stats.callbackErrors += reply.callbackErrors - 1;
        }
        for (const result of results) this.#host.emit('result', result);
      },
    });
    try {
      for (;;) {
        const chunk = await run.source.read();
        if (chunk === null) break;
        decoder.push(chunk);
        if (this.#paused !== undefined) await this.#paused.promise;
        const blocks: Buffer[] = [];
        for (let one = decoder.nextBlock(); one !== null; one = decoder.nextBlock()) {
          blocks.push(one);
        }
        if (blocks.length > 0) await pool.submit(blocks);
      }
      decoder.end();
      await pool.end();
    } catch (error) {
      await pool.terminate();
      throw error;
    }
  }

  #onStdoutClosed(error: Error): void {
    const quiet = (error as NodeJS.ErrnoException).code === 'EPIPE';
    if (!quiet) this.#host.logger().error(`tcp-sniffer: outputStdout: ${error.message}`);
    this.#host.stop();
  }
}

/** The decoders of lines and of frames cut those of messages and of exchanges alike. */
function exchangeOf(decoded: Delivered, { isFramed }: Plan): Delivered {
  if (decoded instanceof ExchangeRecord) return decoded;
  return new ExchangeRecord(decoded.raw, isFramed ? decoded.bodyBuffer : undefined);
}

function decoderOf(checked: CheckedConfig, onMalformed: MalformedListener): Decoder<Delivered> {
  const { messageBytesMax, own } = checked;
  switch (checked.engine.format) {
    case 'framed':
      return new FrameDecoder(messageBytesMax, onMalformed);
    case 'packed':
      if (checked.records === 'exchange') {
        return new PackedExchangeDecoder(messageBytesMax, onMalformed, own.reuse);
      }
      return new PackedDecoder(messageBytesMax, onMalformed, own.reuse);
    default:
      return new LineDecoder(messageBytesMax, onMalformed);
  }
}
