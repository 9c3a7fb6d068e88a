import { Worker } from 'node:worker_threads';
import type { WorkerOrder, WorkerReply } from './worker.js';

/** The forms of output that have messages for programs. */
export type MessageFormat = 'ndjson' | 'framed' | 'packed';

const givenBytesMin = 65_536;
/** Blocks that a worker has at once: one in work, one waiting. */
const blocksPerWorker = 2;

export interface WorkerPoolListener {
  /** What the module's functions gave, in the order of the messages. */
  onResults(results: unknown[], reply: WorkerReply): void;
}

/**
 * Threads that parse. Blocks of whole messages go to the workers in turn, and their results are
 * given out in the order of the blocks, so the order of the messages is kept although the parsing
 * is spread. A worker that is behind makes `submit` wait, and thereby the reader.
 */
export class WorkerPool {
  readonly #listener: WorkerPoolListener;
  readonly #workers: Worker[];
  readonly #givesMemory: boolean;
  #submitted = 0;
  #delivered = 0;
  readonly #finished = new Map<number, WorkerReply>();
  #wake: (() => void) | null = null;
  #failure: Error | null = null;

  constructor(module: string, count: number, format: MessageFormat, listener: WorkerPoolListener) {
    this.#listener = listener;
    this.#givesMemory = format === 'packed';
    this.#workers = Array.from({ length: count }, () => {
      const worker = new Worker(new URL('./worker.js', import.meta.url), {
        workerData: { module, format },
      });
      worker.on('message', (reply: WorkerReply) => this.#onReply(reply));
      worker.on('error', (error) => this.#fail(error));
      worker.on('exit', () => this.#fail(new Error('a worker thread has ended')));
      return worker;
    });
  }

  /** Gives blocks away; resolves when there is room for the next ones. Rejects when a worker is
   * gone. Packed records are given with their memory, and what else is in it; others, and small
   * blocks, which may lie in memory of others, are copied. */
  async submit(blocks: Buffer[]): Promise<void> {
    const pieces: Uint8Array[] = blocks.map((block) =>
      this.#givesMemory && block.length >= givenBytesMin ? block : new Uint8Array(block),
    );
    this.#post({ kind: 'blocks', sequence: this.#submitted, pieces });
    await this.#until(
      () => this.#submitted - this.#delivered < this.#workers.length * blocksPerWorker,
    );
  }

  /** Resolves when every block is done and every `onEnd` has been called. */
  async end(): Promise<void> {
    if (this.#failure === null) {
      for (const _ of this.#workers) this.#post({ kind: 'end', sequence: this.#submitted });
    }
    await this.#until(() => this.#submitted === this.#delivered);
    await this.terminate();
  }

  async terminate(): Promise<void> {
    for (const worker of this.#workers) worker.removeAllListeners('exit');
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #post(order: WorkerOrder): void {
    const worker = this.#workers[this.#submitted % this.#workers.length] as Worker;
    this.#submitted += 1;
    const pieces = order.kind === 'end' ? [] : order.pieces;
    const memory = new Set(pieces.map(({ buffer }) => buffer as ArrayBuffer));
    worker.postMessage(order, [...memory]);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && this.#failure === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #onReply(reply: WorkerReply): void {
    this.#finished.set(reply.sequence, reply);
    for (;;) {
      const next = this.#finished.get(this.#delivered);
      if (next === undefined) break;
      this.#finished.delete(this.#delivered);
      this.#delivered += 1;
      this.#listener.onResults(next.results, next);
    }
    this.#wakeUp();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
