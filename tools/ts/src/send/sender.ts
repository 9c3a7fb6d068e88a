import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Logger } from '../config.js';
import { printable } from '../printable.js';
import type { DeadLetters } from './dead-letters.js';
import { type Answer, Poster, retryAfterMs } from './post.js';
import type { Item, Protocol, Rejected } from './protocol.js';

const compress = promisify(gzip);

/** What the protocols call worth another attempt; every other answer is final. */
const retryStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const tooLarge = 413;
const badRequest = 400;
/** Of an answer, in messages. */
const answerShownMax = 300;
/** What an item costs beside its text. */
const itemOverhead = 128;

export interface SenderOptions {
  /** Bytes that wait or are on their way; with more, `write` gives a promise. */
  queueBytes: number;
  /** One request. */
  batchItems: number;
  batchBytes: number;
  /** How long a batch waits to become full. */
  batchWaitMs: number;
  timeoutMs: number;
  /** Between attempts, doubled each time. */
  firstDelayMs: number;
  maxDelayMs: number;
  /** A batch that makes no progress for so long is given up. */
  giveUpMs: number;
}

export const senderDefaults: SenderOptions = {
  queueBytes: 8_388_608,
  batchItems: 1000,
  batchBytes: 1_048_576,
  batchWaitMs: 1000,
  timeoutMs: 30_000,
  firstDelayMs: 1000,
  maxDelayMs: 30_000,
  giveUpMs: 300_000,
};

export interface SenderStats {
  /** Items that the receiver took. */
  delivered: number;
  /** Items that it rejected, or that were given up. */
  rejected: number;
  /** Rejected items that are in no dead-letter file either. */
  lost: number;
  requests: number;
  retries: number;
  /** Items that wait or are on their way. */
  queued: number;
}

interface Failure {
  retry: readonly Item[];
  reason: string;
  afterMs: number | undefined;
  progress: boolean;
}

/**
 * Delivers items to one receiver, at least once each, in their order: an item leaves the queue when
 * the receiver has taken it, or when it is a dead letter. Requests are compressed; one is on its way
 * at a time. After a batch was given up the next ones get one attempt each, until one succeeds.
 *
 * Invariant: given = delivered + rejected + queued.
 */
export class Sender {
  readonly #protocol: Protocol;
  readonly #options: SenderOptions;
  readonly #logger: Logger;
  readonly #deadLetters: DeadLetters | undefined;
  readonly #poster: Poster;
  readonly #abort = new AbortController();
  /** Of the pause between two attempts. */
  #pause = new AbortController();
  #abortAt = Infinity;
  #abortTimer: NodeJS.Timeout | undefined;
  #isOver = false;
  readonly #stats: SenderStats = {
    delivered: 0,
    rejected: 0,
    lost: 0,
    requests: 0,
    retries: 0,
    queued: 0,
  };
  /** Of the next request; it becomes smaller when the receiver finds one too large. */
  #batchBytes: number;
  #queue: Item[] = [];
  #queueTextBytes = 0;
  #bytes = 0;
  #firstQueuedAt = 0;
  #isAway = false;
  #notBefore = 0;
  #ending = false;
  #wake: (() => void) | null = null;
  #room: (() => void) | null = null;
  readonly #done: Promise<void>;

  constructor(
    protocol: Protocol,
    logger: Logger,
    deadLetters: DeadLetters | undefined,
    options: Partial<SenderOptions> = {},
  ) {
    this.#protocol = protocol;
    this.#logger = logger;
    this.#deadLetters = deadLetters;
    this.#options = { ...senderDefaults, ...options };
    this.#batchBytes = this.#options.batchBytes;
    this.#poster = new Poster(protocol.url, this.#options.timeoutMs);
    this.#done = this.#run();
  }

  get name(): string {
    return this.#protocol.name;
  }

  get stats(): SenderStats {
    return { ...this.#stats };
  }

  /** Takes an item; gives a promise when the queue is full. */
  write(item: Item): Promise<void> | undefined {
    if (this.#queue.length === 0) this.#firstQueuedAt = performance.now();
    this.#queue.push(item);
    this.#queueTextBytes += item.text.length;
    this.#bytes += item.text.length + itemOverhead;
    this.#stats.queued += 1;
    if (this.#queue.length === 1 || this.#isBatchFull()) this.#wakeUp();
    if (this.#bytes <= this.#options.queueBytes) return undefined;
    return new Promise((resolve) => {
      this.#room = resolve;
    });
  }

  /** Resolves when every item is delivered or a dead letter. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#wakeUp();
    await this.#done;
    this.#isOver = true;
    clearTimeout(this.#abortTimer);
    this.#poster.close();
  }

  /** What is not delivered within this time becomes dead letters; a pause ends now. */
  hurry(milliseconds: number): void {
    const at = performance.now() + milliseconds;
    if (this.#isOver || at >= this.#abortAt) return;
    this.#abortAt = at;
    clearTimeout(this.#abortTimer);
    this.#abortTimer = setTimeout(() => this.abort(), milliseconds);
    this.#pause.abort();
    this.#pause = new AbortController();
  }

  /** What is not delivered becomes dead letters at once. */
  abort(): void {
    this.#abort.abort();
    this.#pause.abort();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    for (;;) {
      await this.#untilBatch();
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      await this.#deliver(batch);
    }
  }

  #isBatchFull(): boolean {
    const isFull = this.#queue.length >= this.#options.batchItems;
    return isFull || this.#queueTextBytes >= this.#batchBytes;
  }

  async #untilBatch(): Promise<void> {
    while (!this.#ending && !this.#isBatchFull()) {
      let timer: NodeJS.Timeout | undefined;
      let isOver = false;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#queue.length === 0) return;
        const rest = this.#firstQueuedAt + this.#options.batchWaitMs - performance.now();
        timer = setTimeout(() => {
          isOver = true;
          resolve();
        }, rest);
      });
      await woken;
      clearTimeout(timer);
      if (isOver) return;
    }
  }

  #takeBatch(): Item[] {
    let count = 0;
    let bytes = 0;
    for (const { text } of this.#queue) {
      if (count === this.#options.batchItems) break;
      if (count > 0 && bytes + text.length > this.#batchBytes) break;
      count += 1;
      bytes += text.length;
    }
    this.#queueTextBytes -= bytes;
    this.#firstQueuedAt = performance.now();
    return this.#queue.splice(0, count);
  }

  async #deliver(batch: readonly Item[]): Promise<void> {
    const { firstDelayMs, maxDelayMs, giveUpMs } = this.#options;
    let items = batch;
    let attempts = 0;
    let since = performance.now();
    while (items.length > 0) {
      if (this.#abort.signal.aborted) return this.#reject(items, 'interrupted');
      if (this.#isAway && performance.now() < this.#notBefore) {
        return this.#reject(items, 'the receiver asked to wait longer than a batch may wait');
      }
      const failure = await this.#attempt(items);
      if (failure === undefined) return;
      if (failure.afterMs !== undefined) {
        this.#notBefore = performance.now() + Math.min(failure.afterMs, giveUpMs);
      }
      items = failure.retry;
      if (failure.progress) {
        attempts = 0;
        since = performance.now();
      }
      const doubled = Math.min(firstDelayMs * 2 ** attempts, maxDelayMs);
      // Between half of it and all of it, so that many senders do not come at once.
      const wait = failure.afterMs ?? doubled * (0.5 + Math.random() / 2);
      attempts += 1;
      const next = performance.now() + wait;
      const isTooLong = next - since > giveUpMs || next > this.#abortAt;
      if (isTooLong || (this.#isAway && !failure.progress)) {
        this.#isAway = true;
        return this.#reject(items, `given up after ${attempts} attempts: ${failure.reason}`);
      }
      this.#stats.retries += 1;
      await delay(wait, undefined, { signal: this.#pause.signal }).catch(() => {});
    }
  }

  /** One request. Undefined when nothing of it is to be sent again. */
  async #attempt(items: readonly Item[]): Promise<Failure | undefined> {
    let body: Buffer;
    try {
      body = await compress(this.#protocol.body(items));
    } catch (error) {
      this.#reject(items, `it cannot be sent: ${(error as Error).message}`);
      return undefined;
    }
    const headers = { ...this.#protocol.headers, 'content-encoding': 'gzip' };
    this.#stats.requests += 1;
    let answer: Answer;
    try {
      answer = await this.#poster.post(headers, body, this.#abort.signal);
    } catch (error) {
      const reason = (error as Error).message;
      return { retry: items, reason, afterMs: undefined, progress: false };
    }
    const { status } = answer;
    const reason = `the receiver answered ${status} ${shown(answer.body)}`.trimEnd();
    if (status >= 200 && status < 300) return this.#take(items, answer);
    const afterMs = retryAfterMs(answer.headers, Date.now());
    if (retryStatuses.has(status)) return { retry: items, reason, afterMs, progress: false };
    this.#isAway = false;
    if (isTooLarge(answer) && items.length > 1) {
      const bytes = items.reduce((sum, { text }) => sum + text.length, 0);
      this.#batchBytes = Math.min(this.#batchBytes, Math.ceil(bytes / 2));
      const half = Math.ceil(items.length / 2);
      await this.#deliver(items.slice(0, half));
      await this.#deliver(items.slice(half));
      return undefined;
    }
    this.#reject(items, reason);
    return undefined;
  }

  #take(items: readonly Item[], { body, headers }: Answer): Failure | undefined {
    this.#isAway = false;
    const { retry = [], rejected = [], unknown, warning } = this.#protocol.verdict(items, body);
    if (warning !== undefined) this.#logger.warn(`${this.name}: ${printable(warning)}`);
    const settled = new Set(items);
    for (const { item } of [...retry, ...rejected]) settled.delete(item);
    const others = [...settled];
    const unknownCount = Math.min(unknown?.count ?? 0, others.length);
    this.#stats.delivered += others.length - unknownCount;
    this.#forget(others);
    if (unknown !== undefined && unknownCount > 0) {
      const reason = `${unknownCount} of these ${others.length}, not known which: ${unknown.reason}`;
      this.#bury(
        unknownCount,
        others.map((item) => ({ item, reason })),
      );
    }
    this.#rejectEach(rejected);
    const [first] = retry;
    if (first === undefined) return undefined;
    const afterMs = retryAfterMs(headers, Date.now());
    const progress = retry.length < items.length;
    return { retry: retry.map(({ item }) => item), reason: first.reason, afterMs, progress };
  }

  #reject(items: readonly Item[], reason: string): void {
    this.#rejectEach(items.map((item) => ({ item, reason })));
  }

  #rejectEach(rejected: readonly Rejected[]): void {
    if (rejected.length === 0) return;
    this.#bury(rejected.length, rejected);
    this.#forget(rejected.map(({ item }) => item));
  }

  /** Counts what is rejected, and writes what may be it. */
  #bury(count: number, letters: readonly Rejected[]): void {
    this.#stats.rejected += count;
    // The receiver's own words are among it.
    const reason = printable(letters[0]?.reason ?? '');
    this.#logger.error(`${this.name}: ${count} not delivered: ${reason}`);
    if (this.#deadLetters === undefined) {
      this.#stats.lost += count;
      return;
    }
    const { written, failure } = this.#deadLetters.write(this.name, letters);
    if (failure === undefined) return;
    this.#stats.lost += Math.min(count, letters.length - written);
    this.#logger.error(`dead letters: ${failure.message}`);
  }

  #forget(items: readonly Item[]): void {
    for (const { text } of items) this.#bytes -= text.length + itemOverhead;
    this.#stats.queued -= items.length;
    if (this.#bytes > this.#options.queueBytes) return;
    const room = this.#room;
    this.#room = null;
    room?.();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** Some say with 400 that a request is too large: an OpenTelemetry Collector answers "http: request
 * body too large", VictoriaLogs "too big data size". */
function isTooLarge({ status, body }: Answer): boolean {
  if (status === tooLarge) return true;
  return status === badRequest && /\btoo (?:large|big)\b/i.test(body.slice(0, answerShownMax));
}

/** The beginning of an answer, on one line. */
function shown(body: string): string {
  return body.slice(0, answerShownMax).replace(/[\s\p{Cc}]+/gu, ' ');
}
