import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { close, constants, open, read, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, Socket, type SocketConstructorOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

const openFile = promisify(open);
const closeFile = promisify(close);
const readFile = promisify(read);

/**
 * How the engine's standard output reaches this process.
 *
 * `socket`: a pair of local sockets, read by libuv in pieces of up to 1 MiB into memory of ours; the
 * two ends disturb each other less than those of a pipe. `fifo`: a named pipe, read in the same way.
 * `pipe`: what `child_process` gives, a pair of sockets too, but read in pieces of 64 KiB.
 * `fifo-threadpool`: the named pipe again, read by a blocking thread of libuv's pool, of which it
 * takes one for good.
 */
export const transports = ['socket', 'fifo', 'pipe', 'fifo-threadpool'] as const;
export type Transport = (typeof transports)[number];

/** A stream of bytes that is only read when asked: what is not asked for stays in the kernel. */
export interface ByteSource {
  /** The next bytes, or null at the end. One call at a time. */
  read(): Promise<Buffer | null>;
  /** Messages are large: what lies across two slabs has to be copied, so slabs get larger. */
  expectLarge(): void;
  close(): void;
}

/** What is read at once. More does not help: what is on its way is no more than 1 MiB. */
const slabSize = 1_048_576;
/** When messages are large: of those of 1 MiB a quarter lies across two. */
const largeSlabSize = 4_194_304;
/** What waits for the rest of its message is that of a large one from here on. */
export const largeMin = 131_072;
/** Below this the next read gets a new slab, because a short read costs as much as a long one. */
const slabRestMin = 131_072;

/**
 * What becomes of the memory that was read into.
 *
 * `kept`: messages point into it as long as somebody keeps them, so it is not used again. `reused`:
 * what was read is done with when the next piece is asked for, but for what the reader has copied.
 * Two slabs take turns, whose pages the system need not make again. `given`: each piece has memory
 * of its own, which the reader may give away.
 */
export type ReadMemory = 'kept' | 'reused' | 'given';

/** Memory to read into: consecutive reads fill one slab, so that a message across two of them is
 * in one piece. */
class Slab {
  #buffer: Buffer = Buffer.allocUnsafeSlow(slabSize);
  #other: Buffer | undefined;
  #used = 0;
  /** Of those that are made from here on. */
  #size = slabSize;
  readonly #memory: ReadMemory;

  constructor(memory: ReadMemory) {
    this.#memory = memory;
  }

  /** Where the next read goes. */
  rest(): Buffer {
    const isGiven = this.#memory === 'given' && this.#used > 0;
    if (isGiven || this.#buffer.length - this.#used < slabRestMin) {
      const other = this.#other;
      const next = other?.length === this.#size ? other : Buffer.allocUnsafeSlow(this.#size);
      if (this.#memory === 'reused') this.#other = this.#buffer;
      this.#buffer = next;
      this.#used = 0;
    }
    return this.#buffer.subarray(this.#used);
  }

  enlarge(): void {
    // What is given away is one piece, whatever its memory could hold.
    if (this.#memory !== 'given') this.#size = largeSlabSize;
  }

  /** The `size` bytes that were read there. */
  commit(size: number): Buffer {
    const begin = this.#used;
    this.#used += size;
    return this.#buffer.subarray(begin, this.#used);
  }
}

/** Turns a source that pushes into one that is asked: at most one piece is held. */
abstract class PushedSource implements ByteSource {
  #held: Buffer | null = null;
  #ended = false;
  #waiting: ((chunk: Buffer | null) => void) | null = null;

  protected abstract resume(): void;
  abstract expectLarge(): void;
  abstract close(): void;

  read(): Promise<Buffer | null> {
    if (this.#held !== null) {
      const chunk = this.#held;
      this.#held = null;
      return Promise.resolve(chunk);
    }
    if (this.#ended) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.resume();
    });
  }

  /** Takes a piece; false means: no more until `resume`. A reader that waits has the piece before
   * the next one comes, and asks again when it is done with it, so that starting and stopping is for
   * readers that are behind. */
  protected offer(chunk: Buffer): boolean {
    const waiting = this.#waiting;
    if (waiting === null) {
      this.#held = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
      return false;
    }
    this.#waiting = null;
    waiting(chunk);
    return true;
  }

  protected finish(): void {
    this.#ended = true;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(null);
  }
}

/** A readable stream, in the pieces it has. */
export class StreamSource extends PushedSource {
  readonly #stream: Readable;

  constructor(stream: Readable) {
    super();
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      if (!this.offer(chunk)) stream.pause();
    });
    stream.pause();
    for (const event of ['end', 'close', 'error']) stream.on(event, () => this.finish());
  }

  protected override resume(): void {
    this.#stream.resume();
  }

  override expectLarge(): void {}

  override close(): void {
    this.#stream.destroy();
  }
}

/** The reading end of a pipe, or a local socket, read by libuv into slabs. */
export class PolledSource extends PushedSource {
  readonly #socket: Socket;
  readonly #slab: Slab;

  /** `of`: a descriptor that can be polled. Otherwise `connect` says what is read. */
  constructor(memory: ReadMemory, of: SocketConstructorOpts = {}) {
    super();
    const slab = new Slab(memory);
    this.#slab = slab;
    // `onread` is documented for connections and works for any descriptor that libuv can poll.
    const options = {
      ...of,
      readable: true,
      writable: false,
      onread: {
        buffer: () => slab.rest(),
        callback: (size: number): boolean => this.offer(slab.commit(size)),
      },
    };
    this.#socket = new Socket(options);
    for (const event of ['end', 'close', 'error']) this.#socket.on(event, () => this.finish());
  }

  /** Resolves when it is connected to the local socket of this path. */
  connect(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.connect({ path }, () => {
        this.#socket.off('error', reject);
        resolve();
      });
    });
  }

  protected override resume(): void {
    this.#socket.resume();
  }

  override expectLarge(): void {
    this.#slab.enlarge();
  }

  override close(): void {
    this.#socket.destroy();
  }
}

/** A descriptor read by blocking reads on a thread of libuv's pool. */
export class DescriptorSource implements ByteSource {
  readonly #fd: number;
  readonly #slab: Slab;
  #reading = false;
  #closed = false;

  constructor(fd: number, memory: ReadMemory) {
    this.#fd = fd;
    this.#slab = new Slab(memory);
  }

  async read(): Promise<Buffer | null> {
    if (this.#closed) return null;
    this.#reading = true;
    const rest = this.#slab.rest();
    try {
      const { bytesRead } = await readFile(this.#fd, rest, 0, rest.length, null);
      if (bytesRead > 0) return this.#slab.commit(bytesRead);
    } finally {
      this.#reading = false;
      if (this.#closed) close(this.#fd);
    }
    this.close();
    return null;
  }

  expectLarge(): void {
    this.#slab.enlarge();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#reading) close(this.#fd);
  }
}

/** Both ends of a named pipe that has no name any more. */
export interface Fifo {
  readFd: number;
  writeFd: number;
}

/** Makes a named pipe, opens it and unlinks it. The reading end is non-blocking unless
 * `blockingReads`. Rejects where there is no `mkfifo`. */
export function makeFifo(blockingReads: boolean): Promise<Fifo> {
  return withPrivatePath(async (path) => {
    await promisify(execFile)('mkfifo', ['-m', '600', path]);
    // A non-blocking reader opens at once; then the writer finds a reader, and a second, blocking
    // reader finds a writer.
    const polled = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeFd = await openFile(path, constants.O_WRONLY);
    if (!blockingReads) return { readFd: polled, writeFd };
    const readFd = await openFile(path, constants.O_RDONLY);
    await closeFile(polled);
    return { readFd, writeFd };
  });
}

/** Two local sockets that are connected. `writer` is for a child; this process does not use it. */
export interface SocketPair {
  source: PolledSource;
  writer: Socket;
}

/** Makes a pair of local sockets that have no name any more. Rejects where the path of the
 * directory for temporary files is too long for the name of a socket. */
export function makeSocketPair(memory: ReadMemory): Promise<SocketPair> {
  return withPrivatePath(async (path) => {
    const server = createServer({ pauseOnConnect: true });
    const source = new PolledSource(memory);
    try {
      const accepted = once(server, 'connection');
      accepted.catch(() => {});
      server.listen(path);
      await once(server, 'listening');
      await source.connect(path);
      const [writer] = (await accepted) as [Socket];
      return { source, writer };
    } catch (error) {
      source.close();
      throw error;
    } finally {
      server.close();
    }
  });
}

/** Directories that are in use: removed when the process exits before they are done with. */
const directories = new Set<string>();

function removeAll(): void {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
}

/** Calls `use` with a path at which nothing is, in a directory that only this user can enter and
 * that is removed afterwards. */
async function withPrivatePath<T>(use: (path: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tcp-sniffer-'));
  // One listener for all, so that Node takes many sniffers for no leak.
  if (directories.size === 0) process.on('exit', removeAll);
  directories.add(directory);
  try {
    return await use(join(directory, 'output'));
  } finally {
    directories.delete(directory);
    if (directories.size === 0) process.off('exit', removeAll);
    await rm(directory, { recursive: true, force: true });
  }
}
