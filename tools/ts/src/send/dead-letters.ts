import { closeSync, fstatSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { cannotOpen } from '../errors.js';
import type { Rejected } from './protocol.js';

const lineFeed = 0x0a;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `isNew`: there was nothing of this name. */
function openForAppending(path: string): { fd: number; isNew: boolean } {
  try {
    return { fd: openSync(path, 'ax', 0o600), isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return { fd: openSync(path, 'a', 0o600), isNew: false };
  }
}

/**
 * A file of what could not be delivered: a line of JSON for each item, with the receiver and the
 * reason. It is appended to, belongs to its owner alone, and is removed again when it was made here
 * and stays empty. What cannot be written whole is not there at all.
 */
export class DeadLetters {
  readonly #path: string;
  readonly #fd: number;
  readonly #isNew: boolean;
  readonly #isFile: boolean;

  /** Throws OUTPUT_FAILED when the file cannot be opened. */
  constructor(path: string) {
    this.#path = path;
    try {
      const { fd, isNew } = openForAppending(path);
      this.#fd = fd;
      this.#isNew = isNew;
      this.#isFile = fstatSync(fd).isFile();
    } catch (error) {
      throw cannotOpen('dead letters', path, error);
    }
  }

  /** How many of them are written, and why not all of them. */
  write(receiver: string, rejected: readonly Rejected[]): { written: number; failure?: Error } {
    const time = new Date().toISOString();
    let text = '';
    for (const { item, reason } of rejected) {
      const head = JSON.stringify({ time, receiver, reason });
      const content = isJson(item.text) ? item.text : JSON.stringify(item.text);
      text += `${head.slice(0, -1)},"item":${content}}\n`;
    }
    const bytes = Buffer.from(text);
    const { size } = fstatSync(this.#fd);
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(this.#fd, bytes, at);
      return { written: rejected.length };
    } catch (error) {
      const whole = bytes.subarray(0, at).lastIndexOf(lineFeed) + 1;
      // The begin of a line would spoil the next one.
      if (this.#isFile) ftruncateSync(this.#fd, size + whole);
      const written = bytes.subarray(0, whole).filter((byte) => byte === lineFeed).length;
      return { written, failure: error as Error };
    }
  }

  close(): void {
    const { size } = fstatSync(this.#fd);
    closeSync(this.#fd);
    if (size === 0 && this.#isNew) unlinkSync(this.#path);
  }
}
