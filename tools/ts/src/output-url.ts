import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { CheckedConfig, Logger } from './config.js';
import { textOf } from './errors.js';
import type { Line } from './output-line.js';

/** Waits before the second, third and fourth attempt. */
const retryDelaysMs: readonly number[] = [1000, 2000, 4000];

export interface UrlOutputStats {
  /** Messages that the collector has answered with 2xx. */
  sent: number;
  /** Messages given up after the last retry. */
  dropped: number;
  retries: number;
  /** Messages that wait or are on their way. */
  queued: number;
}

/**
 * Posts messages to a collector. A request that fails, whatever the reason, is tried again after 1,
 * 2 and 4 s; then its messages are dropped and counted. What waits is bounded in bytes: `write`
 * gives a promise while there is too much of it. While the output is ending, the first batch that
 * is dropped takes the rest of the queue with it: a collector that is away does not hold up a stop
 * for longer than one batch's retries.
 */
export class UrlOutput {
  readonly #options: NonNullable<CheckedConfig['url']>;
  readonly #logger: Logger;
  readonly #token: string | undefined;
  readonly #retryDelaysMs: readonly number[];
  readonly #agent: HttpAgent;
  readonly #stats: UrlOutputStats = { sent: 0, dropped: 0, retries: 0, queued: 0 };
  #queue: Line[] = [];
  #bytes = 0;
  #active = 0;
  #ending = false;
  #timer: NodeJS.Timeout | null = null;
  #room: (() => void) | null = null;
  #idle: (() => void) | null = null;

  constructor(
    options: NonNullable<CheckedConfig['url']>,
    logger: Logger,
    token: string | undefined,
    delaysMs: readonly number[] = retryDelaysMs,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#token = token;
    this.#retryDelaysMs = delaysMs;
    const Agent = options.url.protocol === 'https:' ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
  }

  get stats(): UrlOutputStats {
    return { ...this.#stats };
  }

  /** Takes a message; gives a promise when the queue is full. */
  write(message: Line): Promise<void> | undefined {
    this.#queue.push(message);
    this.#bytes += message.byteLength;
    this.#stats.queued += 1;
    this.#pump();
    if (this.#bytes <= this.#options.queueBytes) return undefined;
    return new Promise((resolve) => {
      this.#room = resolve;
    });
  }

  /** Resolves when every message is sent or dropped. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#pump();
    if (this.#stats.queued > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#agent.destroy();
  }

  #pump(): void {
    while (this.#active < this.#options.concurrency && this.#queue.length > 0) {
      if (this.#queue.length < this.#options.batchMessages && !this.#ending) {
        this.#timer ??= setTimeout(() => this.#flushPart(), this.#options.batchWaitMs);
        return;
      }
      this.#send(this.#queue.splice(0, this.#options.batchMessages));
    }
  }

  #flushPart(): void {
    this.#timer = null;
    if (this.#active < this.#options.concurrency && this.#queue.length > 0) {
      this.#send(this.#queue.splice(0, this.#options.batchMessages));
    }
    this.#pump();
  }

  /** Never rejects: whatever goes wrong, the batch is dropped and counted. */
  async #send(batch: Line[]): Promise<void> {
    this.#active += 1;
    const failure = await this.#attempts(batch).catch((error) => textOf(error));
    this.#active -= 1;
    if (failure === null) {
      this.#stats.sent += batch.length;
    } else {
      const lost = this.#ending ? batch.concat(this.#queue.splice(0)) : batch;
      this.#stats.dropped += lost.length;
      this.#logger.error(
        `tcp-sniffer: outputUrl ${this.#options.url.origin}: ${lost.length} messages dropped after ${this.#retryDelaysMs.length} retries: ${failure}`,
      );
      if (lost.length > batch.length) this.#forget(lost.slice(batch.length));
    }
    this.#forget(batch);
    this.#pump();
  }

  #forget(messages: readonly Line[]): void {
    for (const message of messages) this.#bytes -= message.byteLength;
    this.#stats.queued -= messages.length;
    if (this.#bytes <= this.#options.queueBytes) {
      const room = this.#room;
      this.#room = null;
      room?.();
    }
    if (this.#stats.queued === 0) this.#idle?.();
  }

  #encode(batch: readonly Line[]): Buffer {
    if (this.#options.batchMessages === 1 && batch[0] !== undefined) return batch[0].toLine();
    const end = Buffer.from('\n');
    return Buffer.concat(batch.flatMap((message) => [message.toLine(), end]));
  }

  /** Null, or why the last attempt failed. */
  async #attempts(batch: readonly Line[]): Promise<string | null> {
    const body = this.#encode(batch);
    for (let attempt = 0; ; attempt += 1) {
      const failure = await this.#post(body);
      if (failure === null) return null;
      const wait = this.#retryDelaysMs[attempt];
      if (wait === undefined) return failure;
      this.#stats.retries += 1;
      await delay(wait);
    }
  }

  #post(body: Buffer): Promise<string | null> {
    const { url, timeoutMs, headers, batchMessages } = this.#options;
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve) => {
      const outgoing = request(url, {
        method: 'POST',
        agent: this.#agent,
        headers: {
          'content-type': batchMessages === 1 ? 'application/json' : 'application/x-ndjson',
          'content-length': body.length,
          ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
          ...headers,
        },
      });
      const deadline = setTimeout(
        () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const finish = (failure: string | null): void => {
        clearTimeout(deadline);
        resolve(failure);
      };
      outgoing.on('error', (error) => finish(error.message));
      // A 101 ends without any other event, because nobody here speaks another protocol.
      const onClose = (): void => finish('the connection was closed without an answer');
      outgoing.on('close', onClose);
      outgoing.on('response', (response) => {
        outgoing.off('close', onClose);
        const status = response.statusCode ?? 0;
        response.on('error', (error) => finish(error.message));
        response.on('end', () =>
          finish(status >= 200 && status < 300 ? null : `the collector answered ${status}`),
        );
        response.resume();
      });
      outgoing.end(body);
    });
  }
}
