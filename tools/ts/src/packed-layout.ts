/** The layout of `format: packed`, as docs/packed.md of the engine specifies it. All numbers are
 * little-endian, all places are counted from the first byte of the record. */

import type { RecordMemory } from './packed-memory.js';

export const recordHeaderSize = 8;
/** `TP`, read as a number. */
export const recordMark = 0x5054;
export const recordVersion = 1;
export const messageKind = 1;
export const exchangeKind = 2;

export const fixedSizeMin = 152;
/** With flag.selected. */
export const selectedSizeMin = 168;
export const fieldSize = 16;

/** Where the fields of the fixed part stand. */
export const at = {
  size: 0,
  mark: 4,
  version: 6,
  kind: 7,
  fixedSize: 8,
  status: 10,
  direction: 12,
  protocol: 13,
  httpVersion: 14,
  incomplete: 15,
  flags: 16,
  anomalies: 20,
  receiverPort: 24,
  destinationPort: 26,
  bodyKind: 28,
  contentDecodeError: 29,
  orphan: 30,
  orphanCause: 31,
  connectionId: 32,
  exchange: 40,
  firstByteNs: 48,
  durationNs: 56,
  latencyNs: 64,
  bodySize: 72,
  receiverIp: 80,
  destinationIp: 96,
  firstText: 112,
  secondText: 120,
  headers: 128,
  parts: 136,
  body: 144,
  /** With flag.selected. */
  shown: 152,
  names: 160,
} as const;

export const flag = {
  hasExchange: 1 << 0,
  hasLatency: 1 << 1,
  hasTotal: 1 << 2,
  bodyTruncated: 1 << 3,
  bodyWithheld: 1 << 4,
  headersIncomplete: 1 << 5,
  afterGap: 1 << 6,
  rawHeaders: 1 << 7,
  textsAreAscii: 1 << 8,
  firstTextIsLatin1: 1 << 9,
  secondTextIsLatin1: 1 << 10,
  interfaceIsLatin1: 1 << 11,
  mappedOnWire: 1 << 12,
  selected: 1 << 13,
} as const;

/** With flag.selected: which of the fields that others always have the record has, and which lists
 * are whole. */
export const shown = {
  timestamp: 1 << 0,
  connectionId: 1 << 1,
  receiverIp: 1 << 2,
  receiverPort: 1 << 3,
  destinationIp: 1 << 4,
  destinationPort: 1 << 5,
  firstText: 1 << 6,
  secondText: 1 << 7,
  httpVersion: 1 << 8,
  allHeaders: 1 << 9,
  allTrailers: 1 << 10,
  bodySize: 1 << 11,
  duration: 1 << 12,
  body: 1 << 13,
  headersSize: 1 << 14,
  communityId: 1 << 15,
  proxied: 1 << 16,
} as const;

export const bodyKind = { none: 0, text: 1, bytes: 2, leftOut: 3 } as const;

export const part = {
  trailers: 1,
  losses: 2,
  contentDecoded: 3,
  client: 4,
  proxied: 5,
  extended: 6,
  interface: 7,
  number: 8,
  ofRequest: 9,
} as const;

export const valueLengthMask = 0x3fffffff;
export const valueIsLatin1 = 0x40000000;
export const valueIsFolded = 0x80000000;

/** By the number that stands in the record; unknown ones are left out. */
export const incompleteWords = [
  undefined,
  'gap',
  'closed',
  'evicted',
  'idle',
  'shutdown',
  'snaplen',
  'limit',
  'parseError',
] as const;
export const orphanWords = [
  undefined,
  'requestNotCaptured',
  'responseNotCaptured',
  'noResponse',
] as const;
export const decodeErrorWords = [undefined, 'truncated', 'corrupt', 'limit'] as const;
export const anomalyWords = [
  'leadingBlanks',
  'startLineBlanks',
  'target',
  'version',
  'status',
  'http09',
  'bareLf',
  'bareCr',
  'obsFold',
  'blankBeforeColon',
  'fieldName',
  'noColon',
  'lengthAndCoding',
  'differentLengths',
  'repeatedLength',
  'invalidLength',
  'transferCoding',
  'chunkLine',
] as const;

/** Where the words of the fixed part stand, counted in words; comments name what else is in them. */
export const wordAt = {
  /** mark, version, kind */
  mark: 1,
  /** fixedSize, status */
  fixedSize: 2,
  /** direction, protocol, httpVersion, incomplete */
  direction: 3,
  flags: 4,
  exchange: 10,
  bodySize: 18,
  firstText: 28,
  secondText: 30,
  headers: 32,
  parts: 34,
  body: 36,
  names: 40,
} as const;

/** A number of 64 bits; beyond 2^53 it is rounded, as JSON.parse rounds. */
export function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 4_294_967_296;
}

/** The same, of words. */
export function u64At(words: Uint32Array, word: number): number {
  return (words[word] as number) + (words[word + 1] as number) * 4_294_967_296;
}

/** The same with a sign. */
export function readI64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 4_294_967_296;
}

/** Sizes up to this one, and what is subtracted from them, are numbers of 32 bits with a sign. */
const plainSizeMax = 0x7fffffff;

/** Whether a list of fields lies in the record, and all its texts; and whether these are together no
 * longer than it: what points again and again to the same bytes would become very much memory. */
function fieldsAreInside(
  { view, words }: RecordMemory,
  record: number,
  size: number,
  list: number,
  count: number,
): boolean {
  if (list + count * fieldSize > size) return false;
  const begin = record + list;
  // Until numbers were aligned everywhere, engines wrote lists at odd places.
  const isPlain = (begin & 3) === 0 && size <= plainSizeMax;
  if (!isPlain) return oddFieldsAreInside(view, size, begin, count);
  // Negative as soon as a place or a length is, or what is left of the record before or after it.
  let signs = 0;
  let texts = 0;
  for (let entry = begin >>> 2, end = entry + 4 * count; entry < end; entry += 4) {
    const nameAt = words[entry] as number;
    const nameLength = words[entry + 1] as number;
    const valueAt = words[entry + 2] as number;
    const valueLength = (words[entry + 3] as number) & valueLengthMask;
    const afterName = (size - nameAt) | 0;
    const afterValue = (size - valueAt) | 0;
    signs |= nameAt | nameLength | afterName | (afterName - nameLength);
    signs |= valueAt | afterValue | (afterValue - valueLength);
    // In two steps, so that a sum beyond 31 bits is seen.
    texts = (texts + nameLength) | 0;
    signs |= texts;
    texts = (texts + valueLength) | 0;
    signs |= texts;
  }
  return signs >= 0 && texts <= size;
}

function oddFieldsAreInside(view: DataView, size: number, begin: number, count: number): boolean {
  let texts = 0;
  for (let entry = begin, end = begin + count * fieldSize; entry < end; entry += fieldSize) {
    const nameLength = view.getUint32(entry + 4, true);
    const valueLength = view.getUint32(entry + 12, true) & valueLengthMask;
    if (view.getUint32(entry, true) + nameLength > size) return false;
    if (view.getUint32(entry + 8, true) + valueLength > size) return false;
    texts += nameLength + valueLength;
  }
  return texts <= size;
}

/** A record has fewer: many would be searched by every getter. */
const partsMax = 255;

/** Why the parts of a record must not be read. */
function faultOfParts(memory: RecordMemory, record: number, size: number): string | undefined {
  const { view } = memory;
  const list = view.getUint32(record + at.parts, true);
  const count = view.getUint32(record + at.parts + 4, true);
  if (list + count * 16 > size) return 'a part beyond its record';
  if (count > partsMax) return 'more parts than a record can have';
  let seen = 0;
  for (let i = 0; i < count; i += 1) {
    const entry = record + list + 16 * i;
    const tag = view.getUint32(entry, true);
    const offset = view.getUint32(entry + 4, true);
    const length = view.getUint32(entry + 8, true);
    const isInside = offset + length <= size && length >= (partSizeMin[tag] ?? 0);
    if (!isInside) return 'a part beyond its record';
    if (partSizeMin[tag] !== undefined) {
      if ((seen & (1 << tag)) !== 0) return 'a part that stands there twice';
      seen |= 1 << tag;
    }
    if (tag === part.trailers) {
      const fields = Math.floor(length / fieldSize);
      if (!fieldsAreInside(memory, record, size, offset, fields)) return 'a part beyond its record';
    }
    if (tag === part.ofRequest && !ofRequestIsInside(view, record + offset, length)) {
      return 'a part beyond its record';
    }
  }
  return undefined;
}

const partSizeMin: readonly (number | undefined)[] = [undefined, 0, 8, 0, 16, 40, 64, 0, 8, 24];

function ofRequestIsInside(view: DataView, begin: number, length: number): boolean {
  let end = 24;
  for (let size = 12; size < 24; size += 4) end += view.getUint32(begin + size, true);
  return end <= length;
}

/** Whether a place of the fixed part lies in the record; `word` is where it stands. */
function isInside(words: Uint32Array, word: number, size: number): boolean {
  return (words[word] as number) + (words[word + 1] as number) <= size;
}

/** Why a message must not be read that begins at `record` and has `size` bytes, all of which are
 * there; undefined: every place lies in it. */
export function faultOf(memory: RecordMemory, record: number, size: number): string | undefined {
  if (size < fixedSizeMin) return 'a record without its fixed part';
  const { words } = memory;
  const first = record >>> 2;
  const fixedSize = (words[first + wordAt.fixedSize] as number) & 0xffff;
  if (fixedSize < fixedSizeMin || fixedSize > size) return 'a fixed part beyond its record';
  if (((words[first + wordAt.flags] as number) & flag.selected) !== 0) {
    // What `select` adds to the fixed part.
    const isThere = fixedSize >= selectedSizeMin && isInside(words, first + wordAt.names, size);
    if (!isThere) return 'a selection beyond its record';
  }
  const hasTexts =
    isInside(words, first + wordAt.firstText, size) &&
    isInside(words, first + wordAt.secondText, size);
  if (!hasTexts) return 'a text beyond its record';
  if (!isInside(words, first + wordAt.body, size)) return 'a body beyond its record';
  const list = words[first + wordAt.headers] as number;
  const count = words[first + wordAt.headers + 1] as number;
  if (!fieldsAreInside(memory, record, size, list, count)) return 'a header beyond its record';
  return words[first + wordAt.parts + 1] === 0 ? undefined : faultOfParts(memory, record, size);
}
