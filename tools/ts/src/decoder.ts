import { SnifferError } from './errors.js';
import { Message } from './message.js';

/** The first bytes of a framed output. */
export const frameMagic = Buffer.from('TCPSNIF1');

const noBytes = Buffer.alloc(0);
const lineFeed = 0x0a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const frameHeaderSize = 8;

/** Gets what could not be used: its first bytes, and why. */
export type MalformedListener = (bytes: Buffer, reason: string) => void;
export const malformedBytesShown = 1024;

/**
 * Bytes as they came, of which messages are cut. Nothing is copied but a message that lies across
 * two reads into different memory:
 *
 *      read N                    read N+1, same memory          read N+2, other memory
 *   |--------|-----|####|      |####|######|---|##|            |##|####|-----|
 *     taken         left  ──►   left, in place    left  ──►    carried, joined when taken
 *
 * Invariant: `push` is only called when what is left is less than one message, so what is carried
 * belongs to one message and is taken whole.
 */
export class Input {
  #chunk: Buffer = noBytes;
  #position = 0;
  #carried: Buffer[] = [];
  #carriedSize = 0;

  /** Bytes that are there and not taken. */
  get size(): number {
    return this.#carriedSize + this.#chunk.length - this.#position;
  }

  /** Whether what begins here came before `chunk`. */
  get isCarrying(): boolean {
    return this.#carriedSize > 0;
  }

  /** The bytes that came last, and where in them is what was not taken. */
  get chunk(): Buffer {
    return this.#chunk;
  }
  get position(): number {
    return this.#position;
  }

  /** Takes bytes of `chunk`, unless something is carried. */
  skip(size: number): void {
    this.#position += size;
  }

  push(chunk: Buffer): void {
    const old = this.#chunk;
    const left = old.length - this.#position;
    if (left === 0) {
      this.#chunk = chunk;
    } else if (chunk.buffer === old.buffer && chunk.byteOffset === old.byteOffset + old.length) {
      const begin = old.byteOffset + this.#position;
      this.#chunk = Buffer.from(chunk.buffer, begin, left + chunk.length);
    } else {
      this.#carried.push(old.subarray(this.#position));
      this.#carriedSize += left;
      this.#chunk = chunk;
    }
    this.#position = 0;
  }

  /** Distance from here to a byte, or -1. The first `skip` bytes are known not to hold it, so a
   * message that comes in many pieces is searched once. */
  indexOf(byte: number, skip: number): number {
    const from = this.#position + Math.max(0, skip - this.#carriedSize);
    const at = this.#chunk.indexOf(byte, from);
    return at < 0 ? -1 : this.#carriedSize + at - this.#position;
  }

  /** As indexOf, the last one. */
  lastIndexOf(byte: number, skip: number): number {
    const from = this.#position + Math.max(0, skip - this.#carriedSize);
    const at = this.#chunk.subarray(from).lastIndexOf(byte);
    return at < 0 ? -1 : this.#carriedSize + from + at - this.#position;
  }

  /** The next `size` bytes, which are there, without taking them. */
  peek(size: number): Buffer {
    const rest = this.#chunk.subarray(this.#position);
    if (this.#carriedSize === 0) return rest.subarray(0, size);
    const joined = Buffer.concat([...this.#carried, rest.subarray(0, size)]);
    return joined.subarray(0, size);
  }

  /** Takes the next `size` bytes, which are there. */
  take(size: number): Buffer {
    const begin = this.#position;
    this.#position += size - this.#carriedSize;
    const last = this.#chunk.subarray(begin, this.#position);
    if (this.#carriedSize === 0) return last;
    const joined = Buffer.concat([...this.#carried, last], size);
    this.#carried = [];
    this.#carriedSize = 0;
    return joined;
  }

  /** Forgets everything that is there; gives its first bytes. */
  drop(): Buffer {
    const first = Buffer.from(this.peek(Math.min(this.size, malformedBytesShown)));
    this.#carried = [];
    this.#carriedSize = 0;
    this.#position = this.#chunk.length;
    return first;
  }
}

/** Cuts messages, or exchanges, out of a stream of bytes. `push` only after `next` gave null. */
export interface Decoder<T = Message> {
  push(chunk: Buffer): void;
  /** The next message, unparsed, or null when more bytes are needed. */
  next(): T | null;
  /** Whole messages as one piece, uncut, or null when more bytes are needed: then nothing points
   * into what was pushed last but the blocks. */
  nextBlock(): Buffer | null;
  /** The stream has ended: a message that has begun is malformed. */
  end(): void;
  /** Bytes that wait for the rest of their message. */
  readonly pendingBytes: number;
}

/**
 * One JSON object a line. A line that is longer than `messageBytesMax`, or is not an object in
 * braces, is given to `onMalformed` and left out; whether what stands between the braces is JSON
 * is found when it is parsed.
 */
export class LineDecoder implements Decoder {
  readonly #input = new Input();
  readonly #messageBytesMax: number;
  readonly #onMalformed: MalformedListener;
  #searched = 0;
  #skipping = false;

  constructor(messageBytesMax: number, onMalformed: MalformedListener) {
    this.#messageBytesMax = messageBytesMax;
    this.#onMalformed = onMalformed;
  }

  get pendingBytes(): number {
    return this.#input.size;
  }

  push(chunk: Buffer): void {
    this.#input.push(chunk);
  }

  next(): Message | null {
    for (;;) {
      const line = this.#nextLine();
      if (line === null) return null;
      if (line.length === 0) continue;
      if (line[0] === openBrace && line[line.length - 1] === closeBrace) return new Message(line);
      this.#onMalformed(line.subarray(0, malformedBytesShown), 'not a JSON object');
    }
  }

  nextBlock(): Buffer | null {
    if (this.#skipping) {
      const at = this.#input.indexOf(lineFeed, this.#searched);
      if (at < 0) {
        this.#input.drop();
        return null;
      }
      this.#input.take(at + 1);
      this.#skipping = false;
      this.#searched = 0;
    }
    const end = this.#input.lastIndexOf(lineFeed, this.#searched);
    const block = end < 0 ? null : this.#input.take(end + 1);
    this.#searched = this.#input.size;
    if (block === null) this.#refuseTooLong();
    return block;
  }

  end(): void {
    if (this.#input.size > 0) this.#onMalformed(this.#input.drop(), 'cut at the end');
  }

  #nextLine(): Buffer | null {
    for (;;) {
      const at = this.#input.indexOf(lineFeed, this.#searched);
      if (at >= 0) {
        this.#searched = 0;
        const line = this.#input.take(at + 1).subarray(0, at);
        if (!this.#skipping) return line;
        this.#skipping = false;
        continue;
      }
      this.#searched = this.#input.size;
      this.#refuseTooLong();
      return null;
    }
  }

  /** A line that has not ended and is too long is forgotten up to its end. */
  #refuseTooLong(): void {
    if (this.#input.size <= this.#messageBytesMax) return;
    const first = this.#input.drop();
    if (!this.#skipping) {
      this.#onMalformed(first, `longer than ${this.#messageBytesMax} bytes`);
    }
    this.#searched = 0;
    this.#skipping = true;
  }
}

/**
 * The framed form: eight bytes of magic, then per message two little-endian 32-bit lengths,
 * JSON, body. A length that cannot be true has no end to search for, so it throws OUTPUT_CORRUPT.
 */
export class FrameDecoder implements Decoder {
  readonly #input = new Input();
  readonly #messageBytesMax: number;
  readonly #onMalformed: MalformedListener;
  #magicSeen = false;
  // Of the frame that has begun; -1 when its header has not come.
  #jsonSize = -1;
  #bodySize = 0;
  // Of the frame that was taken last.
  #jsonOfTaken = 0;

  constructor(messageBytesMax: number, onMalformed: MalformedListener) {
    this.#messageBytesMax = messageBytesMax;
    this.#onMalformed = onMalformed;
  }

  get pendingBytes(): number {
    return this.#input.size;
  }

  push(chunk: Buffer): void {
    this.#input.push(chunk);
  }

  next(): Message | null {
    const frame = this.#nextFrame();
    if (frame === null) return null;
    return messageOfFrame(frame, this.#jsonOfTaken);
  }

  nextBlock(): Buffer | null {
    // Frames are cut one by one: their borders stand in the frames alone.
    const frames: Buffer[] = [];
    for (let frame = this.#nextFrame(); frame !== null; frame = this.#nextFrame()) {
      const last = frames.at(-1);
      if (
        last !== undefined &&
        last.buffer === frame.buffer &&
        last.byteOffset + last.length === frame.byteOffset
      ) {
        frames[frames.length - 1] = Buffer.from(
          last.buffer,
          last.byteOffset,
          last.length + frame.length,
        );
      } else {
        frames.push(frame);
      }
    }
    if (frames.length === 0) return null;
    return frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames);
  }

  end(): void {
    if (this.#input.size > 0) this.#onMalformed(this.#input.drop(), 'cut at the end');
  }

  #nextFrame(): Buffer | null {
    if (!this.#magicSeen) {
      if (this.#input.size < frameMagic.length) return null;
      const magic = this.#input.take(frameMagic.length);
      if (!magic.equals(frameMagic)) {
        throw new SnifferError('OUTPUT_CORRUPT', 'the output does not begin with TCPSNIF1');
      }
      this.#magicSeen = true;
    }
    if (this.#jsonSize < 0) {
      if (this.#input.size < frameHeaderSize) return null;
      const header = this.#input.peek(frameHeaderSize);
      this.#jsonSize = header.readUInt32LE(0);
      this.#bodySize = header.readUInt32LE(4);
      if (this.#jsonSize < 2 || this.#jsonSize + this.#bodySize > this.#messageBytesMax) {
        throw new SnifferError(
          'OUTPUT_CORRUPT',
          `a frame of ${this.#jsonSize} + ${this.#bodySize} bytes cannot be`,
        );
      }
    }
    const size = frameHeaderSize + this.#jsonSize + this.#bodySize;
    if (this.#input.size < size) return null;
    this.#jsonOfTaken = this.#jsonSize;
    this.#jsonSize = -1;
    return this.#input.take(size);
  }
}

function messageOfFrame(frame: Buffer, jsonSize: number): Message {
  const bodyBegin = frameHeaderSize + jsonSize;
  return new Message(frame.subarray(frameHeaderSize, bodyBegin), frame.subarray(bodyBegin));
}

/** The messages of a block that `nextBlock` of one of these decoders gave. */
export function* messagesOfBlock(
  block: Buffer,
  format: 'ndjson' | 'framed',
  onMalformed: MalformedListener,
): Generator<Message> {
  if (format === 'framed') {
    for (let at = 0; at < block.length; ) {
      const jsonSize = block.readUInt32LE(at);
      const size = frameHeaderSize + jsonSize + block.readUInt32LE(at + 4);
      yield messageOfFrame(block.subarray(at, at + size), jsonSize);
      at += size;
    }
    return;
  }
  const decoder = new LineDecoder(block.length, onMalformed);
  decoder.push(block);
  for (let message = decoder.next(); message !== null; message = decoder.next()) yield message;
}

/** More than a message can have when the engine keeps its limits: JSON writes a byte as at most six
 * (`\u00XX`), of the body and of the header block, which may also be written raw. */
export function messageBytesMaxOf(maxBodySize: number, maxHeaderBytes: number): number {
  return 6 * maxBodySize + 18 * maxHeaderBytes + 1_048_576;
}
