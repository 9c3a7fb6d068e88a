/** The layout of `format: packed`, as docs/packed.md of the engine specifies it. All numbers are
 * little-endian, all places are counted from the first byte of the record. */

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

/** A number of 64 bits; beyond 2^53 it is rounded, as JSON.parse rounds. */
export function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 4_294_967_296;
}

/** The same with a sign. */
export function readI64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 4_294_967_296;
}

/** Whether a list of fields lies in the record, and all its texts. */
function fieldsAreInside(
  view: DataView,
  record: number,
  size: number,
  list: number,
  count: number,
): boolean {
  if (list + count * fieldSize > size) return false;
  for (let entry = record + list, end = entry + count * fieldSize; entry < end; entry += 16) {
    const nameEnd = view.getUint32(entry, true) + view.getUint32(entry + 4, true);
    const valueEnd =
      view.getUint32(entry + 8, true) + (view.getUint32(entry + 12, true) & valueLengthMask);
    if (nameEnd > size || valueEnd > size) return false;
  }
  return true;
}

function partsAreInside(view: DataView, record: number, size: number): boolean {
  const list = view.getUint32(record + at.parts, true);
  const count = view.getUint32(record + at.parts + 4, true);
  if (list + count * 16 > size) return false;
  for (let i = 0; i < count; i += 1) {
    const entry = record + list + 16 * i;
    const offset = view.getUint32(entry + 4, true);
    const length = view.getUint32(entry + 8, true);
    if (offset + length > size) return false;
    const tag = view.getUint32(entry, true);
    if (tag === part.trailers) {
      const fields = Math.floor(length / fieldSize);
      if (!fieldsAreInside(view, record, size, offset, fields)) return false;
    }
    if (length < (partSizeMin[tag] ?? 0)) return false;
    if (tag === part.ofRequest && !ofRequestIsInside(view, record + offset, length)) return false;
  }
  return true;
}

const partSizeMin: readonly (number | undefined)[] = [undefined, 0, 8, 0, 16, 40, 64, 0, 8, 24];

function ofRequestIsInside(view: DataView, begin: number, length: number): boolean {
  let end = 24;
  for (let size = 12; size < 24; size += 4) end += view.getUint32(begin + size, true);
  return end <= length;
}

/** What `select` adds to the fixed part. */
function selectedIsInside(view: DataView, record: number, size: number): boolean {
  if (view.getUint16(record + at.fixedSize, true) < selectedSizeMin) return false;
  return (
    view.getUint32(record + at.names, true) + view.getUint32(record + at.names + 4, true) <= size
  );
}

/** Why a message must not be read that begins at `record` and has `size` bytes, all of which are
 * there; undefined: every place lies in it. */
export function faultOf(view: DataView, record: number, size: number): string | undefined {
  if (size < fixedSizeMin) return 'a record without its fixed part';
  const fixedSize = view.getUint16(record + at.fixedSize, true);
  if (fixedSize < fixedSizeMin || fixedSize > size) return 'a fixed part beyond its record';
  const isSelected = (view.getUint32(record + at.flags, true) & flag.selected) !== 0;
  if (isSelected && !selectedIsInside(view, record, size)) return 'a selection beyond its record';
  for (let place = record + at.firstText; place <= record + at.secondText; place += 8) {
    if (view.getUint32(place, true) + view.getUint32(place + 4, true) > size) {
      return 'a text beyond its record';
    }
  }
  const body = record + at.body;
  if (view.getUint32(body, true) + view.getUint32(body + 4, true) > size) {
    return 'a body beyond its record';
  }
  const list = view.getUint32(record + at.headers, true);
  const count = view.getUint32(record + at.headers + 4, true);
  if (!fieldsAreInside(view, record, size, list, count)) return 'a header beyond its record';
  if (view.getUint32(record + at.parts + 4, true) !== 0 && !partsAreInside(view, record, size)) {
    return 'a part beyond its record';
  }
  return undefined;
}
