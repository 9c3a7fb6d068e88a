import { Message, type MessageLike } from './message.js';

/** A request with its response. One of them is missing when `orphan` names the other. */
export interface Exchange<M extends MessageLike = MessageLike> {
  connectionId: string;
  /** The engine's number of the exchange in its connection, where it is known. */
  exchange: number | undefined;
  request: M | undefined;
  /** Interim responses (1xx), in order. */
  interim: M[];
  response: M | undefined;
  /** What is there alone: a request that was not answered, a response to nothing known. */
  orphan: 'request' | 'response' | undefined;
}

export interface PairOptions {
  /** Requests that wait for their response; beyond it the oldest is given out as an orphan. */
  pendingMax?: number;
}

const pendingMaxDefault = 100_000;
const switchingProtocols = 101;

interface Pending<M extends MessageLike> {
  request: M;
  interim: M[];
}

/**
 * Joins requests and responses as they come, by connection and exchange number. A request that
 * waits is taken off the buffer it was read in, so waiting ones cost their own size. Within a
 * connection responses keep the order of their requests, so a response makes orphans of the
 * requests before its own.
 */
export class Pairer<M extends MessageLike = Message> {
  readonly #pendingMax: number;
  readonly #connections = new Map<string, Map<number, Pending<M>>>();
  #pending = 0;

  constructor({ pendingMax = pendingMaxDefault }: PairOptions = {}) {
    this.#pendingMax = pendingMax;
  }

  /** Requests that wait. */
  get pending(): number {
    return this.#pending;
  }

  /** Takes a message; gives the exchanges that it completes, and the orphans that it shows. */
  add(message: M): Exchange<M>[] {
    const { connectionId, exchange } = message;
    if (message.direction === 'request') {
      if (exchange === undefined) return [orphanRequest(connectionId, exchange, message, [])];
      return this.#addRequest(connectionId, exchange, message);
    }
    return this.#addResponse(connectionId, exchange, message);
  }

  /** Gives out what still waits. */
  flush(): Exchange<M>[] {
    const orphans = [...this.#connections.keys()].flatMap((id) =>
      this.#orphansBefore(id, Infinity),
    );
    this.#connections.clear();
    return orphans;
  }

  #addRequest(connectionId: string, exchange: number, message: M): Exchange<M>[] {
    const kept = message instanceof Message ? (message.detach() as M) : message;
    let waiting = this.#connections.get(connectionId);
    if (waiting === undefined) {
      waiting = new Map();
      this.#connections.set(connectionId, waiting);
    }
    if (!waiting.has(exchange)) this.#pending += 1;
    waiting.set(exchange, { request: kept, interim: [] });
    if (this.#pending <= this.#pendingMax) return [];
    const oldest = this.#connections.keys().next().value as string;
    return this.#orphansBefore(oldest, Infinity);
  }

  #addResponse(connectionId: string, exchange: number | undefined, message: M): Exchange<M>[] {
    const waiting = this.#connections.get(connectionId);
    const pending = exchange === undefined ? undefined : waiting?.get(exchange);
    if (exchange === undefined || pending === undefined) {
      return [
        {
          connectionId,
          exchange,
          request: undefined,
          interim: [],
          response: message,
          orphan: 'response',
        },
      ];
    }
    if (isInterim(message)) {
      pending.interim.push(message instanceof Message ? (message.detach() as M) : message);
      return [];
    }
    const out = this.#orphansBefore(connectionId, exchange);
    this.#remove(connectionId, exchange);
    const { request, interim } = pending;
    out.push({ connectionId, exchange, request, interim, response: message, orphan: undefined });
    return out;
  }

  #orphansBefore(connectionId: string, exchange: number): Exchange<M>[] {
    const out: Exchange<M>[] = [];
    for (const [number, pending] of this.#connections.get(connectionId) ?? []) {
      if (number >= exchange) continue;
      this.#remove(connectionId, number);
      out.push(orphanRequest(connectionId, number, pending.request, pending.interim));
    }
    return out;
  }

  #remove(connectionId: string, exchange: number): void {
    const waiting = this.#connections.get(connectionId);
    if (!waiting?.delete(exchange)) return;
    this.#pending -= 1;
    if (waiting.size === 0) this.#connections.delete(connectionId);
  }
}

function isInterim(message: MessageLike): boolean {
  const status = message.statusCode ?? 0;
  return status >= 100 && status < 200 && status !== switchingProtocols;
}

function orphanRequest<M extends MessageLike>(
  connectionId: string,
  exchange: number | undefined,
  request: M,
  interim: M[],
): Exchange<M> {
  return { connectionId, exchange, request, interim, response: undefined, orphan: 'request' };
}

/** The exchanges of messages that are all there, orphans included, in the order of completion. */
export function pair<M extends MessageLike>(
  messages: Iterable<M>,
  options?: PairOptions,
): Exchange<M>[] {
  const pairer = new Pairer<M>(options);
  const out: Exchange<M>[] = [];
  for (const message of messages) out.push(...pairer.add(message));
  out.push(...pairer.flush());
  return out;
}

/** The exchanges of messages that are still coming, for example of a sniffer. */
export async function* pairStream<M extends MessageLike>(
  messages: AsyncIterable<M>,
  options?: PairOptions,
): AsyncGenerator<Exchange<M>> {
  const pairer = new Pairer<M>(options);
  for await (const message of messages) yield* pairer.add(message);
  yield* pairer.flush();
}
