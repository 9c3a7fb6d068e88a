import type { ExchangeFields } from './generated.js';
import { Message, type MessageLike } from './message.js';

/** The engine's word for why a half is alone. `noResponse`: the server ended its stream, nothing of
 * it was lost, and no response came. */
export type OrphanReason = NonNullable<ExchangeFields['orphan']>;

/** A request with its response. One of them is missing when `orphan` names the other. */
export interface Exchange<M extends MessageLike = MessageLike> {
  connectionId: string;
  /** The engine's number of the exchange in its connection, where it is known. */
  exchange: number | undefined;
  request: M | undefined;
  /** Interim responses (1xx), in order. */
  interim: M[];
  response: M | undefined;
  /** What is there alone: a request whose response is not there, a response to nothing known. */
  orphan: 'request' | 'response' | undefined;
  /** Exchanges of the engine: why it is alone. Messages alone do not show it. */
  orphanReason?: OrphanReason | undefined;
  /** Why the other half is not known; `limit`: too much waited, and it comes alone. */
  orphanCause?: ExchangeFields['orphanCause'] | undefined;
  /** Interim responses that were left out because there were more than `interimMax`. */
  interimLeftOut?: number | undefined;
}

export interface PairOptions {
  /** Requests that wait for their response; beyond it the oldest is given out as an orphan. */
  pendingMax?: number;
  /** Memory, estimated, of requests that wait and of their interim responses; beyond it the oldest
   * are given out as orphans. */
  pendingBytesMax?: number;
  /** Interim responses of one exchange that are kept: the first ones. */
  interimMax?: number;
}

const pendingMaxDefault = 100_000;
const pendingBytesMaxDefault = 67_108_864;
/** A server sends one or two; a client that waits for many cannot distinguish them from an attack. */
const interimMaxDefault = 16;
const switchingProtocols = 101;

/** What a message costs in memory beside its texts: the object, its fields, the maps' entries. */
const messageOverhead = 2048;

interface Pending<M extends MessageLike> {
  request: M;
  interim: M[];
  interimLeftOut: number;
  bytes: number;
}

/** Numbers that were looked at stay in a list until they are so many. */
const passedMax = 1024;

/** The requests of a connection that wait, by their numbers. */
class Waiting<M extends MessageLike> extends Map<number, Pending<M>> {
  // As they came. Those before #passed wait no more, or are the next to be answered.
  #numbers: number[] = [];
  #passed = 0;
  /** Whether they came in the order of their numbers, as the engine gives them. */
  #isAscending = true;

  add(number: number, pending: Pending<M>): void {
    if (number < (this.#numbers.at(-1) ?? 0)) this.#isAscending = false;
    this.#numbers.push(number);
    this.set(number, pending);
  }

  /** The numbers before this one, each of which is looked at once where they ascend: a connection
   * may have very many. */
  before(limit: number): number[] {
    if (!this.#isAscending) return [...this.keys()].filter((number) => number < limit);
    const found: number[] = [];
    for (; this.#passed < this.#numbers.length; this.#passed += 1) {
      const number = this.#numbers[this.#passed] as number;
      if (number >= limit) break;
      // One that came again stands there twice.
      if (this.has(number) && number !== found.at(-1)) found.push(number);
    }
    if (this.#passed >= passedMax) {
      this.#numbers = this.#numbers.slice(this.#passed);
      this.#passed = 0;
    }
    return found;
  }
}

/** An estimate of the memory that a message holds. */
function memoryOf(message: MessageLike): number {
  // The bytes as read, and the same again as texts when the fields have been read.
  if (message instanceof Message) return messageOverhead + 2 * message.byteLength;
  let texts = (message.body?.length ?? 0) + (message.path?.length ?? 0);
  for (const headers of [message.headers, message.trailers]) {
    for (const name in headers) {
      const value = headers[name];
      texts += name.length + (typeof value === 'string' ? value.length : String(value).length);
    }
  }
  return messageOverhead + 2 * texts;
}

/**
 * Joins requests and responses as they come, by connection and exchange number. A request that
 * waits is taken off the buffer it was read in, so waiting ones cost their own size. Within a
 * connection responses keep the order of their requests, so a response makes orphans of the
 * requests before its own. What waits is bounded in number and in memory, and interim responses in
 * number.
 */
export class Pairer<M extends MessageLike = Message> {
  readonly #pendingMax: number;
  readonly #pendingBytesMax: number;
  readonly #interimMax: number;
  readonly #connections = new Map<string, Waiting<M>>();
  #pending = 0;
  #pendingBytes = 0;
  #interimLeftOut = 0;

  constructor({
    pendingMax = pendingMaxDefault,
    pendingBytesMax = pendingBytesMaxDefault,
    interimMax = interimMaxDefault,
  }: PairOptions = {}) {
    this.#pendingMax = pendingMax;
    this.#pendingBytesMax = pendingBytesMax;
    this.#interimMax = interimMax;
  }

  /** Requests that wait. */
  get pending(): number {
    return this.#pending;
  }

  /** Memory, estimated, of what waits. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Interim responses that were left out so far. */
  get interimLeftOut(): number {
    return this.#interimLeftOut;
  }

  /** Takes a message; gives the exchanges that it completes, and the orphans that it shows. Of one
   * that comes in parts the first is taken, which has the head. */
  add(message: M): Exchange<M>[] {
    if ((message.part ?? 1) > 1) return [];
    const { connectionId, exchange } = message;
    if (message.direction === 'request') {
      if (exchange === undefined)
        return [
          requestAlone(connectionId, exchange, {
            request: message,
            interim: [],
            interimLeftOut: 0,
          }),
        ];
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
    let waiting = this.#connections.get(connectionId);
    if (waiting === undefined) {
      waiting = new Waiting();
      this.#connections.set(connectionId, waiting);
    }
    const bytes = memoryOf(message);
    const before = waiting.get(exchange);
    waiting.add(exchange, { request: detached(message), interim: [], interimLeftOut: 0, bytes });
    this.#pending += before === undefined ? 1 : 0;
    this.#pendingBytes += bytes - (before?.bytes ?? 0);
    const out = this.#orphansBeyondLimits();
    if (before !== undefined) out.unshift(requestAlone(connectionId, exchange, before));
    return out;
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
    if (isInterim(message)) return this.#addInterim(pending, message);
    const out = this.#orphansBefore(connectionId, exchange);
    this.#remove(connectionId, exchange);
    out.push({
      connectionId,
      exchange,
      ...halvesOf(pending),
      response: message,
      orphan: undefined,
    });
    return out;
  }

  #addInterim(pending: Pending<M>, message: M): Exchange<M>[] {
    if (pending.interim.length >= this.#interimMax) {
      pending.interimLeftOut += 1;
      this.#interimLeftOut += 1;
      return [];
    }
    const bytes = memoryOf(message);
    pending.interim.push(detached(message));
    pending.bytes += bytes;
    this.#pendingBytes += bytes;
    return this.#orphansBeyondLimits();
  }

  #orphansBeyondLimits(): Exchange<M>[] {
    const out: Exchange<M>[] = [];
    const isBeyond = () =>
      this.#pending > this.#pendingMax || this.#pendingBytes > this.#pendingBytesMax;
    while (this.#pending > 0 && isBeyond()) {
      const oldest = this.#connections.keys().next().value as string;
      for (const orphan of this.#orphansBefore(oldest, Infinity)) {
        out.push({ ...orphan, orphanCause: 'limit' });
      }
    }
    return out;
  }

  #orphansBefore(connectionId: string, exchange: number): Exchange<M>[] {
    const out: Exchange<M>[] = [];
    const waiting = this.#connections.get(connectionId);
    if (waiting === undefined) return out;
    for (const number of waiting.before(exchange)) {
      const pending = waiting.get(number) as Pending<M>;
      this.#remove(connectionId, number);
      out.push(requestAlone(connectionId, number, pending));
    }
    return out;
  }

  #remove(connectionId: string, exchange: number): void {
    const waiting = this.#connections.get(connectionId);
    const pending = waiting?.get(exchange);
    if (waiting === undefined || pending === undefined) return;
    waiting.delete(exchange);
    this.#pending -= 1;
    this.#pendingBytes -= pending.bytes;
    if (waiting.size === 0) this.#connections.delete(connectionId);
  }
}

function isInterim(message: MessageLike): boolean {
  const status = message.statusCode ?? 0;
  return status >= 100 && status < 200 && status !== switchingProtocols;
}

function detached<M extends MessageLike>(message: M): M {
  return message instanceof Message ? (message.detach() as M) : message;
}

type Halves<M extends MessageLike> = Omit<Pending<M>, 'bytes'>;

function halvesOf<M extends MessageLike>({ request, interim, interimLeftOut }: Halves<M>) {
  return { request, interim, ...(interimLeftOut > 0 ? { interimLeftOut } : {}) };
}

function requestAlone<M extends MessageLike>(
  connectionId: string,
  exchange: number | undefined,
  halves: Halves<M>,
): Exchange<M> {
  return { connectionId, exchange, ...halvesOf(halves), response: undefined, orphan: 'request' };
}

/** The exchanges of messages that are all there, orphans included, in the order of completion.
 * Messages that are in memory already cost no more by waiting, so only their number is bounded. */
export function pair<M extends MessageLike>(
  messages: Iterable<M>,
  options?: PairOptions,
): Exchange<M>[] {
  const pairer = new Pairer<M>({ pendingBytesMax: Infinity, ...options });
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
