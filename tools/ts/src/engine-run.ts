import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { CheckedConfig } from './config.js';
import { codeOfExitedEngine, SnifferError } from './errors.js';
import {
  type EngineEvent,
  engineDefaults,
  type StartedEvent,
  type StoppedEvent,
} from './generated.js';
import {
  type ByteSource,
  DescriptorSource,
  makeFifo,
  makeSocketPair,
  PolledSource,
  type ReadMemory,
  StreamSource,
  type Transport,
} from './source.js';

const lastLinesKept = 12;
const lastLineLengthMax = 1024;
/** A line of standard error that has no end is cut here. */
const eventLengthMax = 1_048_576;
/** Beyond what the engine may take to drain; then it gets a signal, and is killed. */
const stopGraceMs = 10_000;
const killGraceMs = 5_000;
const waitForConnectionsMs = 30_000;

/** How a run ended. `error` is set unless the exit status was 0. */
export interface RunEnd {
  error: SnifferError | undefined;
  stopped: StoppedEvent | undefined;
}

/**
 * One process of the engine, from its start to its end. Its standard input is the life line: the
 * configuration is written there, and the end of it, also that of this process, ends a live
 * capture. `source` is its standard output; `ended` resolves when the process is gone and its
 * standard error is read.
 */
export class EngineRun {
  readonly source: ByteSource;
  /** Resolves at the `started` event; rejects when the engine ends before it. */
  readonly started: Promise<StartedEvent>;
  readonly ended: Promise<RunEnd>;
  readonly #child: ChildProcess;
  readonly #config: CheckedConfig;
  #stopping = false;
  #over = false;

  private constructor(
    child: ChildProcess,
    source: ByteSource,
    config: CheckedConfig,
    onEvent: (event: EngineEvent) => void,
  ) {
    this.#child = child;
    this.source = source;
    this.#config = config;
    const lastLines: string[] = [];
    let fatal: EngineEvent | undefined;
    let stopped: StoppedEvent | undefined;
    let hasStarted = false;
    let resolveStarted: (event: StartedEvent) => void = () => {};
    let rejectStarted: (error: SnifferError) => void = () => {};
    this.started = new Promise((resolve, reject) => {
      resolveStarted = resolve;
      rejectStarted = reject;
    });
    this.started.catch(() => {});
    readLines(child.stderr as Readable, (line) => {
      const event = eventOf(line);
      if (event?.event !== 'stats') {
        lastLines.push(line.slice(0, lastLineLengthMax));
        if (lastLines.length > lastLinesKept) lastLines.shift();
      }
      if (event === undefined) return;
      if (event.event === 'fatal') fatal = event;
      if (event.event === 'stopped') stopped = event as StoppedEvent;
      if (event.event === 'started') {
        hasStarted = true;
        resolveStarted(event as StartedEvent);
      }
      onEvent(event);
    });
    this.ended = new Promise((resolve) => {
      const finish = (error: SnifferError | undefined): void => {
        this.#over = true;
        if (this.#stopping && !hasStarted && error?.signal === 'SIGTERM') {
          // The signal of `stop` came before the engine knew what to do with it.
          rejectStarted(new SnifferError('INVALID_STATE', 'stopped before it had started'));
          resolve({ error: undefined, stopped });
          return;
        }
        rejectStarted(
          error ??
            new SnifferError('ENGINE_CRASHED', 'the engine ended before it had started', {
              exitCode: 0,
              lastWords: lastLines.join('\n'),
            }),
        );
        resolve({ error, stopped });
      };
      child.once('error', (cause) => {
        finish(
          new SnifferError('BINARY_NOT_EXECUTABLE', `the engine cannot be run: ${cause.message}`, {
            cause,
          }),
        );
        this.source.close();
      });
      child.once('close', (exitCode, signal) => {
        finish(errorOfExit(exitCode, signal, fatal, lastLines.join('\n')));
      });
    });
    // The engine may be gone before it has read its configuration; its exit says why.
    child.stdin?.on('error', () => {});
    child.stdin?.write(`${JSON.stringify(config.engine)}\n`);
  }

  /** Starts the engine. Rejects only where no pipe can be made; `started` reports the rest. */
  static async launch(
    binary: string,
    config: CheckedConfig,
    onEvent: (event: EngineEvent) => void,
  ): Promise<EngineRun> {
    const { stdout, source } = await openOutput(config.own.transport, readMemoryOf(config));
    let child: ChildProcess;
    try {
      child = spawn(binary, ['--config', '-'], {
        stdio: ['pipe', stdout, 'pipe'],
        // A terminal's ^C is for this process, which stops the engine in its own way.
        detached: true,
      });
    } catch (cause) {
      source?.close();
      throw new SnifferError('BINARY_NOT_EXECUTABLE', `the engine cannot be run: ${cause}`, {
        cause,
      });
    } finally {
      // The child has its own.
      if (typeof stdout === 'number') closeSync(stdout);
      else if (stdout !== 'pipe') stdout.destroy();
    }
    const reader = source ?? new StreamSource(child.stdout as Readable);
    return new EngineRun(child, reader, config, onEvent);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks the engine to drain and end. */
  stop(): void {
    if (this.#stopping || this.#over) return;
    this.#stopping = true;
    // The end of standard input stops a live capture; one of files is stopped by the signal.
    if (this.#config.engine.files === undefined) this.#child.stdin?.end();
    else this.#child.kill('SIGTERM');
    const { drainTimeoutMs, waitForConnections } = { ...engineDefaults, ...this.#config.engine };
    const patience = stopGraceMs + drainTimeoutMs + (waitForConnections ? waitForConnectionsMs : 0);
    const signal = setTimeout(() => this.#child.kill('SIGTERM'), patience);
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), patience + killGraceMs);
    this.ended.then(() => {
      clearTimeout(signal);
      clearTimeout(kill);
    });
  }

  /** Ends the engine at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Messages that are valid until the handler returns need no memory of their own, and workers get
 * the memory itself. */
function readMemoryOf({ engine, own, workers }: CheckedConfig): ReadMemory {
  if (engine.format !== 'packed') return 'kept';
  if (workers !== undefined) return 'given';
  return own.reuse === true ? 'reused' : 'kept';
}

/** What becomes the engine's standard output, and what reads it; no source: the child's stream. */
interface Output {
  stdout: number | 'pipe' | Socket;
  source: ByteSource | undefined;
}

async function openOutput(transport: Transport | undefined, memory: ReadMemory): Promise<Output> {
  try {
    return await outputOf(transport ?? 'socket', memory);
  } catch (error) {
    if (transport !== undefined) throw error;
    return { stdout: 'pipe', source: undefined };
  }
}

async function outputOf(transport: Transport, memory: ReadMemory): Promise<Output> {
  switch (transport) {
    case 'socket': {
      const { source, writer } = await makeSocketPair(memory);
      return { stdout: writer, source };
    }
    case 'fifo': {
      const { readFd, writeFd } = await makeFifo(false);
      return { stdout: writeFd, source: new PolledSource(memory, { fd: readFd }) };
    }
    case 'fifo-threadpool': {
      const { readFd, writeFd } = await makeFifo(true);
      return { stdout: writeFd, source: new DescriptorSource(readFd, memory) };
    }
    case 'pipe':
      return { stdout: 'pipe', source: undefined };
  }
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > eventLengthMax) {
      lines.push(rest);
      rest = '';
    }
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

function eventOf(line: string): EngineEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'event' in value) {
      return value as EngineEvent;
    }
  } catch {
    // What is not JSON is the engine's, or its loader's, last words.
  }
  return undefined;
}

function errorOfExit(
  exitCode: number | null,
  signal: NodeJS.Signals | null,
  fatal: EngineEvent | undefined,
  lastWords: string,
): SnifferError | undefined {
  if (exitCode === 0) return undefined;
  const code = codeOfExitedEngine(fatal?.code as string | undefined, exitCode ?? undefined);
  const how = signal === null ? `exit status ${exitCode}` : `signal ${signal}`;
  const said = code === 'BINARY_NOT_EXECUTABLE' ? 'cannot be run:' : 'ended with';
  return new SnifferError(code, fatal?.message ?? `the engine ${said} ${how}`, {
    ...(exitCode === null ? {} : { exitCode }),
    ...(signal === null ? {} : { signal }),
    lastWords,
  });
}
