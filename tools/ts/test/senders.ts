// Senders on receivers, and what they send.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Exchange, type HttpMessageFields, pair } from '../src/index.js';
import { DeadLetters } from '../src/send/dead-letters.js';
import { elasticProtocol } from '../src/send/elastic.js';
import { endpointOf } from '../src/send/endpoint.js';
import { linesProtocol } from '../src/send/lines.js';
import { lokiProtocol } from '../src/send/loki.js';
import { otlpTracesProtocol } from '../src/send/otlp.js';
import type { Protocol } from '../src/send/protocol.js';
import { Sender, type SenderOptions } from '../src/send/sender.js';
import type { Receiver } from './receivers.js';
import { request, response } from './samples.js';
import { MemoryLogger, temporaryDir } from './support.js';

export const quick: Partial<SenderOptions> = {
  batchWaitMs: 5,
  firstDelayMs: 4,
  maxDelayMs: 20,
  giveUpMs: 300,
};

export function exchanges(count: number, fields: Partial<HttpMessageFields> = {}): Exchange[] {
  const messages = Array.from({ length: count }, (_, i) => [request(i, fields), response(i)]);
  return pair(messages.flat());
}

interface Setup {
  sender: Sender;
  logger: MemoryLogger;
  /** Ends everything; gives the dead letters. */
  finish(): Promise<Record<string, unknown>[]>;
}

export async function setup(
  receiver: Receiver,
  protocolOf: (url: string) => Protocol,
  options: Partial<SenderOptions> = {},
): Promise<Setup> {
  const path = join(temporaryDir(), 'dead.ndjson');
  const letters = new DeadLetters(path);
  const logger = new MemoryLogger();
  const protocol = protocolOf(await receiver.listen());
  const sender = new Sender(protocol, logger, letters, { ...quick, ...options });
  const finish = async () => {
    await sender.end();
    letters.close();
    receiver.close();
    assert.deepEqual(receiver.faults, []);
    assert.equal(sender.stats.queued, 0);
    if (!existsSync(path)) return [];
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { sender, logger, finish };
}

export const toLines = (url: string) => linesProtocol(endpointOf(`${url}/in`, {}));
export const toElastic = (url: string) => elasticProtocol(endpointOf(`elastic:${url}/http`, {}));
export const toLoki = (url: string) => lokiProtocol(endpointOf(`loki:${url}`, {}), 'shop');
export const toTraces = (url: string) => otlpTracesProtocol(endpointOf(`otlp:${url}`, {}), 'shop');
export const lineOf = (i: number) => ({ text: `{"n":${i}}` });
