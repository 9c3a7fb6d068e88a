import { malformedBytesShown } from './decoder.js';
import { SnifferError } from './errors.js';
import { at, recordHeaderSize, recordMark, recordVersion, wordAt } from './packed-layout.js';
import { memoryOf, noMemory, type RecordMemory, viewOf } from './packed-memory.js';

const nothing = Buffer.alloc(0);

/** The bytes from `at.mark` on, read as a number. */
const markAndVersion = (recordVersion << 16) | recordMark;

/** A carried record gets memory for all of it at once, unless its size says more than this. */
const wholeSizeMax = 4_194_304;

/** The size of the record that begins at `offset`, whose header is there. Throws OUTPUT_CORRUPT
 * when there can be none, because its end cannot be searched for. */
export function sizeOfRecord(view: DataView, offset: number, sizeMax: number): number {
  const size = view.getUint32(offset, true);
  const isKnown = (view.getUint32(offset + at.mark, true) & 0xffffff) === markAndVersion;
  if (!isKnown || size < recordHeaderSize || (size & 7) !== 0 || size > sizeMax) {
    throw faultOfHeader(view, offset);
  }
  return size;
}

function faultOfHeader(view: DataView, offset: number): SnifferError {
  const version = view.getUint8(offset + at.version);
  const fault =
    view.getUint16(offset + at.mark, true) !== recordMark
      ? 'the output has no packed record where one begins'
      : version !== recordVersion
        ? `the output has packed records of version ${version}; this package reads version ${recordVersion}`
        : `a packed record of ${view.getUint32(offset, true)} bytes cannot be`;
  return new SnifferError('OUTPUT_CORRUPT', fault);
}

/**
 * Bytes as they came, of which records are cut in place. Only a record that lies across two reads
 * into different memory is copied, so that the older memory may be read into again:
 *
 *      read N                    read N+1, same memory          read N+2, other memory
 *   |--------|-----|####|      |####|######|---|##|            |##|####|-----|
 *     taken         left  ──►   left, in place    left  ──►    carried, copied
 */
export class RecordInput {
  readonly #sizeMax: number;
  /** What came last. */
  #bytes: Buffer = nothing;
  /** On `bytes` when nothing is carried: then a record begins at `position`. */
  #memory: RecordMemory = noMemory;
  /** Of `bytes`: where what was not taken begins. */
  position = 0;
  /** The begin of a record, or of its header, that came before `bytes`. */
  #carried: Buffer | undefined;
  #carriedSize = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  /** What came last, unless `isCarrying`. */
  get memory(): RecordMemory {
    return this.#memory;
  }

  /** Bytes that are there and not taken. */
  get size(): number {
    return this.#carriedSize + this.#bytes.length - this.position;
  }

  get isCarrying(): boolean {
    return this.#carried !== undefined;
  }

  /** The size of the record that begins at `position`; 0: it is not all there. */
  nextSize(): number {
    const { bytes, view, words } = this.#memory;
    const left = bytes.length - this.position;
    if (left < recordHeaderSize) return 0;
    const first = this.position >>> 2;
    const size = words[first] as number;
    const isKnown = ((words[first + wordAt.mark] as number) & 0xffffff) === markAndVersion;
    if (!isKnown || size < recordHeaderSize || (size & 7) !== 0 || size > this.#sizeMax) {
      throw faultOfHeader(view, this.position);
    }
    return left < size ? 0 : size;
  }

  push(chunk: Buffer): void {
    const old = this.#bytes;
    const left = old.length - this.position;
    let bytes = chunk;
    if (left > 0) {
      if (chunk.buffer === old.buffer && chunk.byteOffset === old.byteOffset + old.length) {
        const begin = old.byteOffset + this.position;
        bytes = Buffer.from(chunk.buffer, begin, left + chunk.length);
      } else {
        this.#carry(left);
      }
    }
    this.#bytes = bytes;
    this.position = 0;
    if (this.#carried === undefined) this.#align();
  }

  /** Copies what was not taken, so that the memory of `bytes` may be given away. */
  release(): void {
    this.push(nothing);
  }

  /** The record that has been carried; null when more bytes are needed. */
  takeCarried(): Buffer | null {
    const left = this.#bytes.length - this.position;
    if (left > 0) this.#carry(Math.min(left, recordHeaderSize - this.#carriedSize));
    if (this.#carriedSize < recordHeaderSize) return null;
    const carried = this.#carried as Buffer;
    const size = sizeOfRecord(viewOf(carried), 0, this.#sizeMax);
    this.#carry(Math.min(this.#bytes.length - this.position, size - this.#carriedSize));
    if (this.#carriedSize < size) return null;
    const record = this.#carried as Buffer;
    this.#carried = undefined;
    this.#carriedSize = 0;
    this.#align();
    return record;
  }

  /** Forgets everything that is there; gives its first bytes. */
  drop(): Buffer {
    const rest = this.#bytes.subarray(this.position);
    const carried = this.#carried?.subarray(0, this.#carriedSize) ?? nothing;
    const first = Buffer.concat([carried, rest.subarray(0, malformedBytesShown)]);
    this.#carried = undefined;
    this.#carriedSize = 0;
    this.position = this.#bytes.length;
    return first.subarray(0, malformedBytesShown);
  }

  /** Makes `memory` of what was not taken, which begins with a record. */
  #align(): void {
    this.#memory = memoryOf(this.#bytes.subarray(this.position));
    this.#bytes = this.#memory.bytes;
    this.position = 0;
  }

  /** Moves bytes from `position` to what is carried. */
  #carry(count: number): void {
    if (count <= 0) return;
    const room = this.#roomFor(count);
    this.#bytes.copy(room, this.#carriedSize, this.position, this.position + count);
    this.position += count;
    this.#carriedSize += count;
  }

  /** What is carried, in memory for so many bytes more. */
  #roomFor(count: number): Buffer {
    const needed = this.#carriedSize + count;
    const old = this.#carried;
    if (old !== undefined && old.length >= needed) return old;
    const size = Math.max(this.#sizeOfCarried(), needed);
    const capacity =
      size <= wholeSizeMax ? size : Math.min(size, Math.max(wholeSizeMax, 2 * needed));
    const room = Buffer.allocUnsafeSlow(capacity);
    old?.copy(room, 0, 0, this.#carriedSize);
    this.#carried = room;
    return room;
  }

  /** The size of the record that is or becomes carried; a header's when that is not all there. */
  #sizeOfCarried(): number {
    if (this.#carried !== undefined) {
      if (this.#carriedSize < recordHeaderSize) return recordHeaderSize;
      return sizeOfRecord(viewOf(this.#carried), 0, this.#sizeMax);
    }
    if (this.#bytes.length - this.position < recordHeaderSize) return recordHeaderSize;
    return sizeOfRecord(viewOf(this.#bytes), this.position, this.#sizeMax);
  }
}
