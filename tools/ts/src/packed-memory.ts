/**
 * Memory in which records lie, and three ways to read it. Numbers that every message needs are read
 * as words: element `n` of `words` is the number at byte `4 * n`, which also costs little before the
 * code is optimized. A record begins at a multiple of 4.
 */
export interface RecordMemory {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly words: Uint32Array;
}

const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The memory of `bytes`, which begin with a record. They are copied where they are not aligned. */
export function memoryOf(given: Buffer, isLittleEndian = hostIsLittleEndian): RecordMemory {
  const bytes = (given.byteOffset & 3) === 0 ? given : ownCopyOf(given);
  const view = viewOf(bytes);
  const length = bytes.length >>> 2;
  const words = isLittleEndian
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, length)
    : Uint32Array.from({ length }, (_, n) => view.getUint32(4 * n, true));
  return { bytes, view, words };
}

function ownCopyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

export const noMemory = memoryOf(Buffer.alloc(0));
