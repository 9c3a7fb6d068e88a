import { getSystemErrorMap, inspect } from 'node:util';

/** What went wrong, by a word that a program can compare. The first eight are the engine's own. */
export type SnifferErrorCode =
  | 'INVALID_CONFIG'
  | 'INVALID_INTERFACE'
  | 'PERMISSION_DENIED'
  | 'CAPTURE_OPEN_FAILED'
  | 'CAPTURE_FAILED'
  | 'INPUT_FILE'
  | 'OUTPUT_FAILED'
  | 'INTERNAL'
  /** The engine's binary is not where it was said to be, or nowhere. */
  | 'BINARY_NOT_FOUND'
  /** It is there, but cannot be run. */
  | 'BINARY_NOT_EXECUTABLE'
  /** The engine ended by a signal, or with an exit code that has no word of its own. */
  | 'ENGINE_CRASHED'
  /** The engine's output is no longer a sequence of messages, and cannot become one again. */
  | 'OUTPUT_CORRUPT'
  /** start() on a sniffer that has run, or is running. */
  | 'INVALID_STATE';

export interface SnifferErrorDetails {
  exitCode?: number;
  signal?: string;
  /** The last lines that the engine wrote to standard error. */
  lastWords?: string;
  cause?: unknown;
}

/** An error of the package or of the engine. `code` says which. */
export class SnifferError extends Error {
  override readonly name = 'SnifferError';
  readonly code: SnifferErrorCode;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly lastWords: string | undefined;

  constructor(code: SnifferErrorCode, message: string, details: SnifferErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.exitCode = details.exitCode;
    this.signal = details.signal;
    this.lastWords = details.lastWords;
  }
}

const codeOfExit = new Map<number, SnifferErrorCode>([
  [2, 'INVALID_CONFIG'],
  [3, 'INVALID_INTERFACE'],
  [4, 'PERMISSION_DENIED'],
  [5, 'CAPTURE_FAILED'],
  [6, 'INPUT_FILE'],
  [7, 'OUTPUT_FAILED'],
  [70, 'INTERNAL'],
  // What the loader and the shell say of a program that is none, or lacks a library.
  [126, 'BINARY_NOT_EXECUTABLE'],
  [127, 'BINARY_NOT_EXECUTABLE'],
]);

const engineCodes: ReadonlySet<string> = new Set([...codeOfExit.values(), 'CAPTURE_OPEN_FAILED']);

/** The code of an engine that is gone: its `fatal` event decides, else its exit status. */
export function codeOfExitedEngine(
  fatalCode: string | undefined,
  exitCode: number | undefined,
): SnifferErrorCode {
  if (fatalCode !== undefined && engineCodes.has(fatalCode)) return fatalCode as SnifferErrorCode;
  return codeOfExit.get(exitCode ?? -1) ?? 'ENGINE_CRASHED';
}

/** The text of anything that was thrown. */
export function textOf(error: unknown): string {
  if (error instanceof Error) return String(error.stack ?? error.message);
  try {
    return String(error);
  } catch {
    // An object without a prototype, for example.
    return inspect(error);
  }
}

/** Why a file of this process cannot be opened, in the engine's words. */
export function cannotOpen(what: string, path: string, cause: unknown): SnifferError {
  const { errno, message } = cause as NodeJS.ErrnoException;
  const words = getSystemErrorMap().get(errno ?? 0)?.[1] ?? message;
  return new SnifferError('OUTPUT_FAILED', `${what} ${path} cannot be opened: ${words}`, { cause });
}
