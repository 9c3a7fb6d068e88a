import { closeSync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { cannotOpen } from '../errors.js';
import type { Rejected } from './protocol.js';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * A file of what could not be delivered: a line of JSON for each item, with the receiver and the
 * reason. It is appended to, belongs to its owner alone, and is removed again when it stays empty.
 */
export class DeadLetters {
  readonly #path: string;
  readonly #fd: number;

  /** Throws OUTPUT_FAILED when the file cannot be opened. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'a', 0o600);
    } catch (error) {
      throw cannotOpen('dead letters', path, error);
    }
  }

  /** Throws when the file takes no more. */
  write(receiver: string, rejected: readonly Rejected[]): void {
    const time = new Date().toISOString();
    let text = '';
    for (const { item, reason } of rejected) {
      const head = JSON.stringify({ time, receiver, reason });
      const content = isJson(item.text) ? item.text : JSON.stringify(item.text);
      text += `${head.slice(0, -1)},"item":${content}}\n`;
    }
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }

  close(): void {
    const { size } = fstatSync(this.#fd);
    closeSync(this.#fd);
    if (size === 0) unlinkSync(this.#path);
  }
}
