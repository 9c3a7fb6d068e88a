import type { Endpoint, Headers, Proxied } from './generated.js';
import {
  at,
  fieldSize,
  flag,
  part,
  readU64,
  valueIsFolded,
  valueIsLatin1,
  valueLengthMask,
} from './packed-layout.js';
import { asciiLower, ipText, unfolded, WordTable } from './packed-text.js';

/** Reads what stands in a record: functions without state, for the views on it. `view` and `bytes`
 * are of the same memory, and `record` is where the record begins. Its places have been checked. */

const words = new WordTable(1024, false);
const names = new WordTable(1024, true);
const values = new WordTable(4096, false);

export interface RecordBytes {
  readonly view: DataView;
  readonly bytes: Buffer;
  /** Where the record begins. */
  readonly record: number;
}

export function hasFlag(view: DataView, record: number, bit: number): boolean {
  return (view.getUint32(record + at.flags, true) & bit) !== 0;
}

export function isRequest(view: DataView, record: number): boolean {
  return view.getUint8(record + at.direction) === 0;
}

export function isPop3(view: DataView, record: number): boolean {
  return view.getUint8(record + at.protocol) === 1;
}

export function endpointOf(view: DataView, record: number, ip: number, port: number): Endpoint {
  return {
    ip: ipText(view, record + ip, hasFlag(view, record, flag.mappedOnWire)),
    port: view.getUint16(record + port, true),
  };
}

/** A text of the start line or of a header. */
export function textOf(
  { view, bytes, record }: RecordBytes,
  offset: number,
  length: number,
  isLatin1: boolean,
): string {
  const begin = record + offset;
  if (isLatin1 || hasFlag(view, record, flag.textsAreAscii)) {
    return bytes.latin1Slice(begin, begin + length);
  }
  return bytes.utf8Slice(begin, begin + length);
}

export function firstTextOf(from: RecordBytes): string {
  const { view, bytes, record } = from;
  const offset = view.getUint32(record + at.firstText, true);
  const length = view.getUint32(record + at.firstText + 4, true);
  if (hasFlag(view, record, flag.textsAreAscii)) {
    return words.textOf(bytes, record + offset, length);
  }
  return textOf(from, offset, length, hasFlag(view, record, flag.firstTextIsLatin1));
}

export function secondTextOf(from: RecordBytes): string {
  const { view, bytes, record } = from;
  const offset = view.getUint32(record + at.secondText, true);
  const length = view.getUint32(record + at.secondText + 4, true);
  if (!isRequest(view, record) && hasFlag(view, record, flag.textsAreAscii)) {
    return words.textOf(bytes, record + offset, length);
  }
  return textOf(from, offset, length, hasFlag(view, record, flag.secondTextIsLatin1));
}

/** The name of a field, in lower case. `entry` is where its 16 bytes begin. */
function nameOf(from: RecordBytes, entry: number): string {
  const { view, bytes, record } = from;
  const offset = view.getUint32(entry, true);
  const length = view.getUint32(entry + 4, true);
  if (hasFlag(view, record, flag.textsAreAscii)) {
    return names.textOf(bytes, record + offset, length);
  }
  return asciiLower(textOf(from, offset, length, isLatin1(view, entry)));
}

export function isLatin1(view: DataView, entry: number): boolean {
  return (view.getUint32(entry + 12, true) & valueIsLatin1) !== 0;
}

export function rawValueOf(from: RecordBytes, entry: number): string {
  const { view, bytes, record } = from;
  const length = view.getUint32(entry + 12, true);
  const offset = view.getUint32(entry + 8, true);
  if (hasFlag(view, record, flag.textsAreAscii)) {
    return values.textOf(bytes, record + offset, length & valueLengthMask);
  }
  return textOf(from, offset, length & valueLengthMask, (length & valueIsLatin1) !== 0);
}

export function headerValueAt(from: RecordBytes, entry: number): string {
  const value = rawValueOf(from, entry);
  const isFolded = (from.view.getUint32(entry + 12, true) & valueIsFolded) !== 0;
  return isFolded ? unfolded(value) : value;
}

/** Name and value of each header as sent. */
export function rawHeadersOf(from: RecordBytes): [string, string][] {
  const { view, record } = from;
  const list = record + view.getUint32(record + at.headers, true);
  const count = view.getUint32(record + at.headers + 4, true);
  return Array.from({ length: count }, (_, i) => {
    const entry = list + i * fieldSize;
    const name = view.getUint32(entry, true);
    const length = view.getUint32(entry + 4, true);
    return [textOf(from, name, length, isLatin1(view, entry)), rawValueOf(from, entry)];
  });
}

/** The object of a list of fields. Names that are Latin-1 are added to `latin1`. */
export function headersOf(
  from: RecordBytes,
  offset: number,
  count: number,
  group: 'headers' | 'trailers',
  latin1: string[] | undefined,
): Headers {
  const headers: Headers = Object.create(null);
  const list = from.record + offset;
  for (let entry = list; entry < list + count * fieldSize; entry += fieldSize) {
    const name = nameOf(from, entry);
    const value = headerValueAt(from, entry);
    const known = headers[name];
    if (known === undefined) {
      headers[name] = value;
      if (latin1 !== undefined && isLatin1(from.view, entry)) latin1.push(`${group}.${name}`);
    } else if (Array.isArray(known)) {
      known.push(value);
    } else {
      headers[name] = [known, value];
    }
  }
  return headers;
}

/** Where a part begins, and its length; undefined: there is none. */
export function partOf(
  view: DataView,
  record: number,
  tag: number,
): { begin: number; length: number } | undefined {
  const list = record + view.getUint32(record + at.parts, true);
  for (let i = view.getUint32(record + at.parts + 4, true); i > 0; i -= 1) {
    const entry = list + 16 * (i - 1);
    if (view.getUint32(entry, true) !== tag) continue;
    return {
      begin: record + view.getUint32(entry + 4, true),
      length: view.getUint32(entry + 8, true),
    };
  }
  return undefined;
}

export function trailersOf(from: RecordBytes, latin1: string[] | undefined): Headers | undefined {
  const place = partOf(from.view, from.record, part.trailers);
  if (place === undefined) return undefined;
  const fields = Math.floor(place.length / fieldSize);
  return headersOf(from, place.begin - from.record, fields, 'trailers', latin1);
}

export function proxiedOf(view: DataView, record: number): Proxied | undefined {
  const place = partOf(view, record, part.proxied);
  if (place === undefined) return undefined;
  const { begin } = place;
  const flags = view.getUint8(begin + 36);
  const source = {
    ip: ipText(view, begin, (flags & 2) !== 0),
    port: view.getUint16(begin + 32, true),
  };
  const destination = {
    ip: ipText(view, begin + 16, (flags & 4) !== 0),
    port: view.getUint16(begin + 34, true),
  };
  return (flags & 1) !== 0 ? { source, destination, tls: true } : { source, destination };
}

/** With `partialAfterMs`: the number of a part of a message, and whether it is the last one. */
export function partNumberOf(
  view: DataView,
  record: number,
): { number: number; isLast: boolean } | undefined {
  const place = partOf(view, record, part.number);
  if (place === undefined) return undefined;
  return {
    number: view.getUint32(place.begin, true),
    isLast: view.getUint32(place.begin + 4, true) !== 0,
  };
}

/** What a response tells of its request when fields were selected. */
export interface OfRequest {
  bodySize: number | undefined;
  method: string | undefined;
  path: string | undefined;
  host: string | undefined;
  /** The names of those that are Latin-1. */
  latin1: string[];
}

export function ofRequestOf({ view, bytes, record }: RecordBytes): OfRequest | undefined {
  const place = partOf(view, record, part.ofRequest);
  if (place === undefined) return undefined;
  const { begin } = place;
  const has = view.getUint32(begin + 8, true);
  const out: OfRequest = {
    bodySize: (has & 1) !== 0 ? readU64(view, begin) : undefined,
    method: undefined,
    path: undefined,
    host: undefined,
    latin1: [],
  };
  let textBegin = begin + 24;
  for (const [i, name] of (['method', 'path', 'host'] as const).entries()) {
    const textEnd = textBegin + view.getUint32(begin + 12 + 4 * i, true);
    const isText = (has & (2 << i)) !== 0;
    const isLatin1Text = (has & (16 << i)) !== 0;
    if (isText) {
      out[name] = isLatin1Text
        ? bytes.latin1Slice(textBegin, textEnd)
        : bytes.utf8Slice(textBegin, textEnd);
    }
    if (isLatin1Text) out.latin1.push(name);
    textBegin = textEnd;
  }
  return out;
}
