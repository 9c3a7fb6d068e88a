import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  createSniffer,
  type Message,
  type Sniffer,
  type SnifferConfig,
  SnifferError,
} from '../src/index.js';

/** The package's folder; the compiled tests lie in build/test. */
export const packageDir = fileURLToPath(new URL('../../', import.meta.url));
export const fakeEngine = join(packageDir, 'test/fake-engine.mjs');

/** The real engine, where it was built. */
export const realEngine = process.env.TCP_SNIFFER_BINARY || undefined;
export const pcapsDir = join(packageDir, '../../pcaps');

/** A folder that is removed when the file's tests are over. */
export function temporaryDir(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tcp-sniffer-test-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** What the fake engine is to do; see test/fake-engine.mjs. */
export interface Plan {
  exchanges?: number;
  connections?: number;
  bodyBytes?: number;
  binary?: boolean;
  endless?: boolean;
  holdOpen?: boolean;
  crashAfter?: number;
  crashBy?: string | number;
  cutLine?: boolean;
  nonsenseAfter?: number;
  nonsense?: string;
  fatal?: { code: string; message: string; status: number };
  words?: string;
  events?: [string, object][];
  startDelayMs?: number;
  log?: string;
}

/** A logger that keeps what it is told. */
export class MemoryLogger {
  readonly warnings: string[] = [];
  readonly errors: string[] = [];
  warn(text: string): void {
    this.warnings.push(text);
  }
  error(text: string): void {
    this.errors.push(text);
  }
}

/** A sniffer on the fake engine, live on `lo`, which keeps quiet unless given a logger. */
export function fakeSniffer(plan: Plan, config: SnifferConfig = {}): Sniffer {
  process.env.FAKE_ENGINE = JSON.stringify(plan);
  return createSniffer({
    interface: 'lo',
    ports: [80],
    // What it writes that is no message is text.
    format: 'ndjson',
    binaryPath: fakeEngine,
    logger: new MemoryLogger(),
    ...config,
  });
}

export function until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (condition()) resolve();
      else if (performance.now() > deadline) reject(new Error(`waited in vain for ${what}`));
      else setTimeout(look, 5);
    };
    look();
  });
}

/** Whether a signal that was sent to the process has not reached it yet. */
export function isPending(pid: number, signal: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const pending = BigInt(`0x${/^ShdPnd:\s+(\w+)/m.exec(status)?.[1] ?? '0'}`);
  return ((pending >> BigInt(signal - 1)) & 1n) === 1n;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie is gone but for its parent's asking.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The named capture of the repository, or a reason to skip. */
export function capture(name: string): string {
  const path = join(pcapsDir, name);
  if (!existsSync(path)) throw new Error(`no capture ${path}`);
  return path;
}

/** Whether an error has this code, and a message like that; for assert.rejects. */
export function hasCode(code: string, pattern = /./) {
  return (error: unknown): boolean =>
    error instanceof SnifferError && error.code === code && pattern.test(error.message);
}

/** Checks that nothing is lost, nothing comes twice, and a connection's messages are in order. */
export class OrderCheck {
  readonly #next = new Map<string, number>();
  count = 0;

  take(message: Message): void {
    const { connectionId, direction, exchange = -1 } = message;
    const expected = this.#next.get(connectionId) ?? 0;
    assert.equal(2 * exchange + (direction === 'request' ? 0 : 1), expected);
    this.#next.set(connectionId, expected + 1);
    this.count += 1;
  }
}
