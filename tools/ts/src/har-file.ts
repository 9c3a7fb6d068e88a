import { once } from 'node:events';
import {
  constants,
  createWriteStream,
  fstatSync,
  ftruncateSync,
  openSync,
  unlinkSync,
} from 'node:fs';
import type { Writable } from 'node:stream';
import { cannotOpen } from './errors.js';
import { isHttp } from './mappings/common.js';
import { HarBodies, type HarOptions, harComment, toHarEntry } from './mappings/har.js';
import type { Exchange } from './pair.js';

interface OpenedFile {
  fd: number;
  isNew: boolean;
}

/** What is in it stays there until there is something to write. */
function openedFile(path: string): OpenedFile {
  try {
    return { fd: openSync(path, 'wx', 0o600), isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotOpen('har', path, error);
  }
  try {
    return { fd: openSync(path, constants.O_WRONLY), isNew: false };
  } catch (error) {
    throw cannotOpen('har', path, error);
  }
}

/** A HAR written entry by entry, so that its length costs no memory. The file belongs to its owner
 * alone: it has cookies and bodies. One that was there before is replaced when the first entry comes,
 * or at the end. */
export class HarFile {
  readonly #path: string;
  readonly #file: OpenedFile | undefined;
  readonly #stream: Writable;
  readonly #bodies: HarBodies;
  readonly #version: string;
  #hasBegun = false;
  #entries = 0;
  #orphans = 0;
  #failure: Error | undefined;
  #wake: (() => void) | null = null;

  /** `-` is standard output. Throws OUTPUT_FAILED when the file cannot be opened. `onFailure` is
   * called once when nothing can be written any more. */
  constructor(
    path: string,
    { creatorVersion = '0.1.0', ...limits }: HarOptions = {},
    onFailure: (error: Error) => void = () => {},
  ) {
    this.#path = path;
    this.#file = path === '-' ? undefined : openedFile(path);
    this.#stream =
      this.#file === undefined ? process.stdout : createWriteStream(path, { fd: this.#file.fd });
    this.#bodies = new HarBodies(limits);
    this.#version = creatorVersion;
    const wakeUp = (): void => {
      this.#wake?.();
      this.#wake = null;
    };
    this.#stream.on('drain', wakeUp);
    this.#stream.on('error', (error) => {
      const isFirst = this.#failure === undefined;
      this.#failure ??= error;
      wakeUp();
      if (isFirst) onFailure(error);
    });
  }

  get stats() {
    return { entries: this.#entries, orphans: this.#orphans, bodiesLeftOut: this.#bodies.leftOut };
  }

  /** Why nothing can be written any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Takes an exchange; gives a promise while the file is behind. */
  write(exchange: Exchange): Promise<void> | undefined {
    if (this.#failure !== undefined || !isHttp(exchange)) return undefined;
    if (exchange.request === undefined) {
      this.#orphans += 1;
      return undefined;
    }
    this.#begin();
    const entry = JSON.stringify(toHarEntry(exchange, this.#bodies));
    const hasRoom = this.#stream.write(`${this.#entries === 0 ? '\n' : ',\n'}${entry}`);
    this.#entries += 1;
    if (hasRoom) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const fd = this.#file?.fd;
    if (fd !== undefined && fstatSync(fd).isFile()) ftruncateSync(fd);
    const creator = JSON.stringify({ name: 'tcp-sniffer', version: this.#version });
    this.#stream.write(`{"log":{"version":"1.2","creator":${creator},"entries":[`);
  }

  /** Resolves when everything is written, or cannot be. Without an entry the file stays as it was
   * when the run has failed. */
  async end(hasFailed = false): Promise<void> {
    if (!this.#hasBegun && hasFailed) return this.#leave();
    this.#begin();
    const { comment } = harComment(this.#orphans, this.#bodies);
    const last = comment === undefined ? '' : `,"comment":${JSON.stringify(comment)}`;
    const text = `\n]${last}}}\n`;
    if (this.#failure !== undefined) return;
    if (this.#stream === process.stdout) {
      await new Promise<void>((resolve) => this.#stream.write(text, () => resolve()));
      return;
    }
    this.#stream.end(text);
    await once(this.#stream, 'close').catch(() => {});
  }

  async #leave(): Promise<void> {
    if (this.#file === undefined) return;
    this.#stream.destroy();
    await once(this.#stream, 'close').catch(() => {});
    if (this.#file.isNew) unlinkSync(this.#path);
  }
}
