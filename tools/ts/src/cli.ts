#!/usr/bin/env node
/** `npx tcp-sniffer`: the engine with its own command line, and what the package adds to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type CliArguments, engineFlags, ownHelp, parseArguments } from './cli-arguments.js';
import { Takers } from './cli-takers.js';
import { type Decoder, LineDecoder } from './decoder.js';
import { nextTurn } from './deferred.js';
import { SnifferError } from './errors.js';
import type { ExchangeRecord } from './exchange-record.js';
import { findBinary } from './find-binary.js';
import type { OtelOptions } from './mappings/otel.js';
import type { Message } from './message.js';
import { PackedExchangeDecoder } from './packed-decoder.js';
import { printable } from './printable.js';
import { secretVariables } from './send/endpoint.js';
import { StreamSource } from './source.js';

const invalidConfigStatus = 2;
/** As the engine ends when an output fails. */
const outputFailedStatus = 7;
/** A longer line is left out and counted; see messageBytesMaxOf for what a message can have. */
const lineBytesMax = 134_217_728;
/** A longer record is an error. */
const recordBytesMax = 2_147_483_648;
/** Receivers get their turn this often when lines come without a pause. */
const sliceMs = 8;
/** From the first signal to the last attempt: a service manager kills what takes much longer. */
const hurryMs = 20_000;

function say(text: string): void {
  process.stderr.write(`tcp-sniffer: ${text}\n`);
}

const logger = { warn: say, error: say };

const handledSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface End {
  status: number | null;
  signal: NodeJS.Signals | null;
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal }));
  });
}

/** Ends as the engine has ended. */
function leaveAs({ status, signal }: End): void {
  for (const handled of handledSignals) process.removeAllListeners(handled);
  if (signal !== null) process.kill(process.pid, signal);
  else process.exitCode = status ?? 1;
}

async function runPlain(binary: string, { engine }: CliArguments): Promise<void> {
  if (engine.includes('--help') || engine.includes('-h')) process.stdout.write(ownHelp);
  const child = spawn(binary, engine, { stdio: 'inherit' });
  // A terminal's signal reaches the engine by itself; this process waits for it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGHUP'));
  const end = await endOf(child);
  leaveAs(end);
}

/** The environment without what the receivers' credentials are in. */
function engineEnvironment(): NodeJS.ProcessEnv {
  const hidden = new Set(secretVariables);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !hidden.has(name)));
}

/** Reads what the engine writes to its end. Gives how much of it could not be used. */
async function deliver(output: Readable, takers: Takers, isPacked: boolean): Promise<number> {
  let malformed = 0;
  const onMalformed = (_bytes: Buffer, reason: string): void => {
    malformed += 1;
    if (malformed === 1) say(`the engine wrote what cannot be used: ${printable(reason)}`);
  };
  const source = new StreamSource(output);
  const decoder: Decoder<Message | ExchangeRecord> = isPacked
    ? new PackedExchangeDecoder(recordBytesMax, onMalformed)
    : new LineDecoder(lineBytesMax, onMalformed);
  let sliceEnd = performance.now() + sliceMs;
  for (;;) {
    const chunk = await source.read();
    if (chunk === null) break;
    decoder.push(chunk);
    for (let message = decoder.next(); message !== null; message = decoder.next()) {
      try {
        const wait = takers.take(message);
        if (wait !== undefined) await wait;
      } catch (error) {
        onMalformed(message.raw, (error as Error).message);
      }
      if (performance.now() < sliceEnd) continue;
      await nextTurn();
      sliceEnd = performance.now() + sliceMs;
    }
  }
  // Where nobody takes anything any more the rest is not looked at.
  if (!takers.isFailed) decoder.end();
  return malformed;
}

function otelOptions(env: NodeJS.ProcessEnv): OtelOptions {
  const methods = env.OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS;
  return methods ? { knownMethods: methods.split(',').map((method) => method.trim()) } : {};
}

async function runWithTakers(binary: string, parsed: CliArguments): Promise<void> {
  const { own, engine } = parsed;
  // The command line may hold credentials, which `ps` shows.
  process.title = 'tcp-sniffer';
  // Nobody may read what is said; what was captured is delivered all the same.
  process.stderr.on('error', () => {});
  const takers = new Takers(own, logger, otelOptions(process.env));
  const flags = engineFlags(own);
  const child = spawn(binary, [...flags, ...engine], {
    stdio: ['inherit', 'pipe', 'inherit'],
    env: engineEnvironment(),
    // A terminal's ^C is for this process, which passes it on once.
    detached: true,
  });
  const ended = endOf(child);
  ended.catch(() => {});
  let signals = 0;
  for (const signal of handledSignals) {
    process.on(signal, () => {
      signals += 1;
      child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
      takers.hurry(signals > 1 ? 0 : hurryMs);
    });
  }
  const output = child.stdout as Readable;
  void takers.failed.then(() => {
    child.kill('SIGTERM');
    output.destroy();
  });
  let malformed = 0;
  let end: End | undefined;
  let failure: unknown;
  try {
    malformed = await deliver(output, takers, flags.includes('packed'));
    end = await ended;
  } catch (error) {
    failure = error;
    child.kill('SIGKILL');
    output.destroy();
    takers.hurry(hurryMs);
  }
  await takers.end(end?.status !== 0);
  const { lines, isComplete } = takers.report();
  if (!engine.includes('-q') && !engine.includes('--quiet')) for (const line of lines) say(line);
  if (end === undefined) throw failure;
  if (end.signal !== null)
    say(`the engine was ended by ${end.signal}; what it had not written is lost`);
  if (malformed > 0) say(`${malformed} lines or records of the engine left out`);
  // An engine that was ended here may not have known its signals yet.
  const isOurs = end.status === 0 || takers.isFailed;
  if (isOurs && !(isComplete && malformed === 0)) process.exitCode = outputFailedStatus;
  else leaveAs(end);
}

// Whoever reads them may leave at any time; what is to be delivered is delivered all the same.
process.stderr.on('error', () => {});
process.stdout.on('error', () => {});
try {
  const parsed = parseArguments(process.argv.slice(2), process.env);
  const binary = findBinary(undefined);
  await (parsed.isPlain ? runPlain(binary, parsed) : runWithTakers(binary, parsed));
} catch (error) {
  say((error as Error).message);
  const code = error instanceof SnifferError ? error.code : undefined;
  const isRefused = code === 'INVALID_CONFIG' || error instanceof TypeError;
  if (isRefused) process.exitCode = invalidConfigStatus;
  else process.exitCode = code === 'OUTPUT_FAILED' ? outputFailedStatus : 1;
}
