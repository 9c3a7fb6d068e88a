import type { Line } from './output-line.js';

/** Lines are written together up to this size. */
const writeSize = 65_536;
const lineEnd = Buffer.from('\n');

/** Writes messages as whole lines. When the stream's reader has left, `onClosed` is told once and
 * everything after that is let go. */
export class StdoutOutput {
  readonly #stream: NodeJS.WritableStream;
  readonly #onClosed: (error: Error) => void;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #closed = false;
  #wake: (() => void) | null = null;
  readonly #onError = (error: Error): void => this.#close(error);
  readonly #onDrain = (): void => {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  };

  constructor(stream: NodeJS.WritableStream, onClosed: (error: Error) => void) {
    this.#stream = stream;
    this.#onClosed = onClosed;
    stream.on('error', this.#onError);
    stream.on('drain', this.#onDrain);
  }

  /** Takes a message; gives a promise when the stream wants a pause. */
  write(message: Line): Promise<void> | undefined {
    if (this.#closed) return undefined;
    const line = message.toLine();
    this.#pending.push(line, lineEnd);
    this.#pendingBytes += line.length + 1;
    return this.#pendingBytes >= writeSize ? this.flush() : undefined;
  }

  /** Hands what is there to the stream. */
  flush(): Promise<void> | undefined {
    if (this.#pendingBytes === 0 || this.#closed) return undefined;
    const bytes = Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      if (this.#stream.write(bytes)) return undefined;
    } catch (error) {
      // A stream whose own `write` throws does not call back any more either.
      this.#close(error as Error);
      return undefined;
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Resolves when the stream has taken everything; then it is left alone. */
  async end(): Promise<void> {
    await this.flush();
    if (!this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#stream.write('', () => resolve());
      });
    }
    this.#stream.off('drain', this.#onDrain);
    this.#stream.off('error', this.#onError);
  }

  #close(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#onDrain();
    this.#onClosed(error);
  }
}
