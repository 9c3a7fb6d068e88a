/** What may wait for a consumer that pulls: enough to keep it busy, little enough to forget. */
const queuedMessagesMax = 1024;
const queuedBytesMax = 4_194_304;

/** What can wait: a message, or an exchange. */
export interface Queueable {
  readonly byteLength: number;
}

/**
 * Messages between the reader, which pushes, and one consumer, which pulls. The reader waits while
 * it is full. After `release` it never waits: the rest of a run that is being stopped is taken in,
 * for the one who stops it may be the one who should pull.
 */
export class MessageQueue<T extends Queueable> implements AsyncIterableIterator<T> {
  // Those before #head have been taken.
  #messages: (T | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #released = false;
  #ended = false;
  #error: unknown;
  #room: (() => void) | null = null;
  #pulls: { resolve: (r: IteratorResult<T>) => void; reject: (e: unknown) => void }[] = [];
  readonly #accept: (message: T) => boolean;
  readonly #onReturn: () => void;

  /** `accept` looks at each message when it is pulled, not before: what is parsed then is garbage
   * soon, and cheap. One that it refuses is left out. `onReturn` is called when the consumer leaves
   * its loop before the end. */
  constructor(accept: (message: T) => boolean, onReturn: () => void) {
    this.#accept = accept;
    this.#onReturn = onReturn;
  }

  /** Takes a message; gives a promise to wait for when there is no room for the next one. */
  push(message: T): Promise<void> | undefined {
    if (this.#ended) return undefined;
    if (this.#pulls.length > 0) {
      if (this.#accept(message)) this.#pulls.shift()?.resolve({ done: false, value: message });
      return undefined;
    }
    this.#messages.push(message);
    this.#bytes += message.byteLength;
    if (this.#released || !this.#isFull()) return undefined;
    return new Promise((resolve) => {
      this.#room = resolve;
    });
  }

  /** No more messages: the consumer gets what is there, then the end, or the error. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const pull of this.#pulls.splice(0)) {
      if (error === undefined) pull.resolve({ done: true, value: undefined });
      else pull.reject(error);
    }
    this.#makeRoom();
  }

  /** The reader does not wait any more. */
  release(): void {
    this.#released = true;
    this.#makeRoom();
  }

  next(): Promise<IteratorResult<T>> {
    for (let message = this.#shift(); message !== undefined; message = this.#shift()) {
      if (this.#accept(message)) return Promise.resolve({ done: false, value: message });
    }
    if (this.#ended) {
      const error = this.#error;
      this.#error = undefined;
      if (error !== undefined) return Promise.reject(error);
      return Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => {
      this.#pulls.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.end();
    this.#messages = [];
    this.#head = 0;
    this.#onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #shift(): T | undefined {
    const message = this.#messages[this.#head];
    if (message === undefined) return undefined;
    this.#messages[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= message.byteLength;
    if (this.#head === this.#messages.length || this.#head >= queuedMessagesMax) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    if (!this.#isFull()) this.#makeRoom();
    return message;
  }

  #isFull(): boolean {
    return this.#messages.length - this.#head >= queuedMessagesMax || this.#bytes >= queuedBytesMax;
  }

  #makeRoom(): void {
    const room = this.#room;
    this.#room = null;
    room?.();
  }
}
