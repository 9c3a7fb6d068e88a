/** Texts that come again and again are made once. Each table is bounded: a text's place is decided
 * by a hash, and belongs to the last text that used it. */

declare global {
  interface Buffer {
    latin1Slice(begin: number, end: number): string;
    utf8Slice(begin: number, end: number): string;
  }
}

const wordLengthMax = 48;

/** Texts by their bytes, for names of headers, methods and the like. A place has room for the bytes
 * of one text, so that one that is not known costs little more than making it. */
export class WordTable {
  readonly #lengths: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #texts: string[];
  readonly #mask: number;
  readonly #lower: boolean;

  /** `places`: a power of 2. `lower`: the texts are in lower case, for ASCII. */
  constructor(places: number, lower: boolean) {
    this.#lengths = new Uint8Array(places);
    this.#bytes = new Uint8Array(places * wordLengthMax);
    this.#texts = new Array(places).fill('');
    this.#mask = places - 1;
    this.#lower = lower;
  }

  /** The text of ASCII bytes. */
  textOf(bytes: Buffer, begin: number, length: number): string {
    if (length === 0) return '';
    if (length > wordLengthMax) return this.#make(bytes, begin, length);
    const first = bytes[begin] as number;
    const last = bytes[begin + length - 1] as number;
    const middle = bytes[begin + (length >> 1)] as number;
    const quarter = bytes[begin + (length >> 2)] as number;
    const place = (length * 31 + first * 7 + last * 61 + middle * 13 + quarter * 101) & this.#mask;
    if (this.#lengths[place] === length && this.#isAt(place, bytes, begin, length)) {
      return this.#texts[place] as string;
    }
    const text = this.#make(bytes, begin, length);
    const known = this.#bytes;
    const at = place * wordLengthMax;
    for (let i = 0; i < length; i += 1) known[at + i] = bytes[begin + i] as number;
    this.#lengths[place] = length;
    this.#texts[place] = text;
    return text;
  }

  #isAt(place: number, bytes: Buffer, begin: number, length: number): boolean {
    const known = this.#bytes;
    const at = place * wordLengthMax;
    for (let i = 0; i < length; i += 1) if (known[at + i] !== bytes[begin + i]) return false;
    return true;
  }

  #make(bytes: Buffer, begin: number, length: number): string {
    const text = bytes.latin1Slice(begin, begin + length);
    return this.#lower ? text.toLowerCase() : text;
  }
}

/** Whether the bytes are `lower`, a name in lower case, without regard to ASCII case. */
export function isName(lower: Uint8Array, bytes: Buffer, begin: number): boolean {
  for (let i = 0; i < lower.length; i += 1) {
    const byte = bytes[begin + i] as number;
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded !== lower[i]) return false;
  }
  return true;
}

/** ASCII letters alone: other characters stay what they are. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

const namesMax = 1024;
const namesByText = new Map<string, Uint8Array>();
let lastName = '';
let bytesOfLastName: Uint8Array = Buffer.alloc(0);

/** The bytes of a header's name in lower case, as it is sent: UTF-8. The name is nearly always the
 * one that was asked for last. */
export function bytesOfName(name: string): Uint8Array {
  if (name !== lastName) {
    bytesOfLastName = knownBytesOf(name);
    lastName = name;
  }
  return bytesOfLastName;
}

function knownBytesOf(name: string): Uint8Array {
  let bytes = namesByText.get(name);
  if (bytes === undefined) {
    bytes = Buffer.from(asciiLower(name));
    if (namesByText.size >= namesMax) namesByText.clear();
    namesByText.set(name, bytes);
  }
  return bytes;
}

/** RFC 9112 section 5.2: whitespace that has a line break is one space, and none at the ends. */
export function unfolded(value: string): string {
  return value.replace(/[ \t\r\n]+/g, (run, offset: number) => {
    if (!/[\r\n]/.test(run)) return run;
    return offset === 0 || offset + run.length === value.length ? '' : ' ';
  });
}

let millisecondOfPrefix = Number.NaN;
let prefix = '';
const threeDigits = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0'));
const endsOfTimes = threeDigits.map((digits) => `${digits}Z`);

/** ISO 8601 in UTC, cut to microseconds. Most messages come in the millisecond of the last one. */
export function timeText(view: DataView, offset: number): string {
  const high = view.getInt32(offset + 4, true);
  const low = view.getUint32(offset, true);
  // 2^32 ns are 4294967 us and 296 ns: nothing here is beyond 2^53.
  const microseconds = high * 4_294_967 + Math.floor((high * 296 + low) / 1000);
  const millisecond = Math.floor(microseconds / 1000);
  if (millisecond !== millisecondOfPrefix) {
    prefix = prefixOf(millisecond);
    millisecondOfPrefix = millisecond;
  }
  return prefix + endsOfTimes[microseconds - millisecond * 1000];
}

let secondOfStart = Number.NaN;
let start = '';

/** A time up to its milliseconds. */
function prefixOf(millisecond: number): string {
  const second = Math.floor(millisecond / 1000);
  if (second !== secondOfStart) {
    start = new Date(second * 1000).toISOString().slice(0, -4);
    secondOfStart = second;
  }
  return start + threeDigits[millisecond - second * 1000];
}

/** A place for each of the connections that are open, if they are not many. */
const idPlaces = 8192;
const idHigh = new Int32Array(idPlaces);
const idLow = new Int32Array(idPlaces);
const idTexts: string[] = new Array(idPlaces).fill('0000000000000000');

function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** 16 hexadecimal digits. */
export function idText(view: DataView, offset: number): string {
  const low = view.getInt32(offset, true);
  const high = view.getInt32(offset + 4, true);
  const place = low & (idPlaces - 1);
  if (idLow[place] !== low || idHigh[place] !== high) {
    idLow[place] = low;
    idHigh[place] = high;
    idTexts[place] = hex8(high) + hex8(low);
  }
  return idTexts[place] as string;
}

const addressPlaces = 4096;
const v4Numbers = new Int32Array(addressPlaces);
const v4Texts: string[] = new Array(addressPlaces).fill('0.0.0.0');

/** An IPv4 address of 32 bits. */
function ip4Text(number: number): string {
  const place = (number ^ (number >>> 12) ^ (number >>> 24)) & (addressPlaces - 1);
  if (v4Numbers[place] !== number) {
    v4Numbers[place] = number;
    v4Texts[place] =
      `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
  }
  return v4Texts[place] as string;
}

/** An address of 16 bytes, IPv4 as `::ffff:a.b.c.d`; those that were so on the wire stay so. */
export function ipText(view: DataView, offset: number, isMappedOnWire: boolean): string {
  const isV4 =
    view.getInt32(offset + 8, true) === -65_536 &&
    view.getInt32(offset, true) === 0 &&
    view.getInt32(offset + 4, true) === 0;
  if (!isV4) return ip6Text(view, offset);
  const text = ip4Text(view.getInt32(offset + 12, false));
  return isMappedOnWire ? `::ffff:${text}` : text;
}

/** RFC 5952: the first of the longest runs of two or more zero groups is `::`. */
function ip6Text(view: DataView, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(offset + 2 * i, false));
  let begin = 8;
  let length = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - i > length) {
      begin = i;
      length = end - i;
    }
    i = end + 1;
  }
  const hex = groups.map((group) => group.toString(16));
  if (begin === 8) return hex.join(':');
  return `${hex.slice(0, begin).join(':')}::${hex.slice(begin + length).join(':')}`;
}
