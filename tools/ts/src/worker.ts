/** One thread of a WorkerPool: takes blocks of messages, calls the user's module for each. */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { messagesOfBlock } from './decoder.js';
import { textOf } from './errors.js';
import type { Message } from './message.js';
import { messagesOfRecords } from './packed-decoder.js';
import type { MessageFormat } from './worker-pool.js';

export type WorkerOrder =
  | { kind: 'blocks'; sequence: number; pieces: Uint8Array[] }
  | { kind: 'end'; sequence: number };

export interface WorkerReply {
  sequence: number;
  results: unknown[];
  messages: number;
  bytes: number;
  malformed: number;
  /** Why the first of these could not be used. */
  firstFault: string | undefined;
  callbackErrors: number;
  /** The first exception of the block, as text. */
  firstError: string | undefined;
}

/** What a worker module exports. */
interface WorkerModule {
  onHttpMessage(message: Message): unknown;
  onEnd?(): unknown;
}

const { module: specifier, format } = workerData as {
  module: string;
  format: MessageFormat;
};

async function load(): Promise<WorkerModule> {
  const url = isAbsolute(specifier) ? pathToFileURL(specifier).href : specifier;
  const module = (await import(url)) as Partial<WorkerModule>;
  if (typeof module.onHttpMessage !== 'function') {
    throw new TypeError(`${specifier} exports no function onHttpMessage`);
  }
  return module as WorkerModule;
}

function isCloneable(result: unknown): boolean {
  try {
    structuredClone(result);
    return true;
  } catch {
    return false;
  }
}

function noteError(reply: WorkerReply, error: unknown): void {
  reply.callbackErrors += 1;
  reply.firstError ??= textOf(error);
}

async function handle(module: WorkerModule, order: WorkerOrder): Promise<WorkerReply> {
  const reply: WorkerReply = {
    sequence: order.sequence,
    results: [],
    messages: 0,
    bytes: order.kind === 'end' ? 0 : order.pieces.reduce((sum, { length }) => sum + length, 0),
    malformed: 0,
    firstFault: undefined,
    callbackErrors: 0,
    firstError: undefined,
  };
  if (order.kind === 'end') {
    try {
      const result = await module.onEnd?.();
      if (result !== undefined) reply.results.push(result);
    } catch (error) {
      noteError(reply, error);
    }
    return reply;
  }
  for (const { buffer, byteOffset, length } of order.pieces) {
    await handleBlock(module, Buffer.from(buffer, byteOffset, length), reply);
  }
  return reply;
}

async function handleBlock(module: WorkerModule, block: Buffer, reply: WorkerReply): Promise<void> {
  const onMalformed = (_bytes: Buffer, reason: string): void => {
    reply.malformed += 1;
    reply.firstFault ??= reason;
  };
  const messages =
    format === 'packed'
      ? messagesOfRecords(block, onMalformed)
      : messagesOfBlock(block, format, onMalformed);
  for (const message of messages) {
    try {
      message.parse();
    } catch {
      onMalformed(block, 'not JSON');
      continue;
    }
    reply.messages += 1;
    try {
      const returned = module.onHttpMessage(message);
      const result = returned instanceof Promise ? await returned : returned;
      if (result !== undefined) reply.results.push(result);
    } catch (error) {
      noteError(reply, error);
    }
  }
}

const loaded = load();
// Orders are worked off one after the other, also while a module's function waits.
let last: Promise<unknown> = loaded;
parentPort?.on('message', (order: WorkerOrder) => {
  last = last.then(async () => {
    const reply = await handle(await loaded, order);
    try {
      parentPort?.postMessage(reply);
    } catch (error) {
      // A result that cannot be cloned. The others are kept.
      const results = reply.results.filter(isCloneable);
      noteError(reply, error);
      reply.callbackErrors += reply.results.length - results.length - 1;
      parentPort?.postMessage({ ...reply, results });
    }
  });
});
