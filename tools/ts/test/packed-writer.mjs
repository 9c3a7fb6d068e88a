// Packed records of messages that are given as the objects of lines, for the tests and the engine's
// double: what docs/packed.md says, without extended fields.

const fixedSize = 152;
const versions = { 0.9: 9, '1.0': 10, 1.1: 11 };
const incomplete = [
  undefined,
  'gap',
  'closed',
  'evicted',
  'idle',
  'shutdown',
  'snaplen',
  'limit',
  'parseError',
];
const orphans = [undefined, 'requestNotCaptured', 'responseNotCaptured', 'noResponse'];

function addressOf(ip) {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16BE(0xffff, 10);
  for (const [i, octet] of ip.split('.').entries()) bytes.writeUInt8(Number(octet), 12 + i);
  return bytes;
}

function nanoseconds(timestamp) {
  const [, second, fraction] = /^(.*)\.(\d{6})Z$/.exec(timestamp);
  return BigInt(Date.parse(`${second}Z`)) * 1_000_000n + BigInt(fraction) * 1000n;
}

/** Texts behind the fixed part, and where they stand. */
class Texts {
  pieces = [];
  constructor(begin) {
    this.end = begin;
  }
  add(bytes) {
    const place = [this.end, bytes.length];
    this.pieces.push(bytes);
    this.end += bytes.length;
    return place;
  }
  align() {
    this.add(Buffer.alloc((8 - (this.end % 8)) % 8));
  }
}

/** The record of a message. `change` may change the record before it is given out. */
export function recordOf(fields, change = () => {}) {
  const isRequest = fields.direction === 'request';
  const isPop3 = fields.protocol === 'pop3';
  const headers = Object.entries(fields.headers ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => [name, one]),
  );
  const texts = new Texts(fixedSize + 16 * headers.length);
  const fixed = Buffer.alloc(fixedSize);
  const place = (offset, [begin, length]) => {
    fixed.writeUInt32LE(begin, offset);
    fixed.writeUInt32LE(length, offset + 4);
  };
  const entries = headers.map(([name, value]) => {
    const entry = Buffer.alloc(16);
    const [nameAt, nameSize] = texts.add(Buffer.from(name));
    const [valueAt, valueSize] = texts.add(Buffer.from(value));
    for (const [i, number] of [nameAt, nameSize, valueAt, valueSize].entries()) {
      entry.writeUInt32LE(number, 4 * i);
    }
    return entry;
  });
  place(112, texts.add(Buffer.from(fields.method ?? fields.status ?? '')));
  place(120, texts.add(Buffer.from(fields.path ?? fields.argument ?? fields.statusText ?? '')));
  place(128, [fixedSize, headers.length]);
  const isAscii = texts.pieces.every((piece) => piece.every((byte) => byte < 0x80));
  texts.align();
  if (fields.body !== undefined) {
    const isBytes = fields.bodyEncoding === 'base64';
    place(144, texts.add(Buffer.from(fields.body, isBytes ? 'base64' : 'utf8')));
    fixed.writeUInt8(isBytes ? 2 : 1, 28);
    texts.align();
  } else if (fields.bodyEncoding === 'binary') {
    fixed.writeUInt8(3, 28);
  }
  fixed.writeUInt32LE(texts.end, 0);
  fixed.write('TP', 4);
  fixed.writeUInt8(1, 6);
  fixed.writeUInt8(1, 7);
  fixed.writeUInt16LE(fixedSize, 8);
  fixed.writeUInt16LE(fields.statusCode ?? 0, 10);
  fixed.writeUInt8(isRequest ? 0 : 1, 12);
  fixed.writeUInt8(isPop3 ? 1 : 0, 13);
  fixed.writeUInt8(versions[fields.httpVersion] ?? 0, 14);
  fixed.writeUInt8(incomplete.indexOf(fields.incomplete), 15);
  fixed.writeUInt32LE(
    (fields.exchange === undefined ? 0 : 1) +
      (fields.latencyMs === undefined ? 0 : 2) +
      (isAscii ? 256 : 0),
    16,
  );
  fixed.writeUInt16LE(fields.receiver.port, 24);
  fixed.writeUInt16LE(fields.destination.port, 26);
  fixed.writeBigUInt64LE(BigInt(`0x${fields.connectionId}`), 32);
  fixed.writeBigUInt64LE(BigInt(fields.exchange ?? 0), 40);
  fixed.writeBigInt64LE(nanoseconds(fields.timestamp), 48);
  fixed.writeBigInt64LE(BigInt(Math.round((fields.durationMs ?? 0) * 1e6)), 56);
  fixed.writeBigInt64LE(BigInt(Math.round((fields.latencyMs ?? 0) * 1e6)), 64);
  fixed.writeBigUInt64LE(BigInt(fields.bodySize), 72);
  addressOf(fields.receiver.ip).copy(fixed, 80);
  addressOf(fields.destination.ip).copy(fixed, 96);
  const record = Buffer.concat([fixed, ...entries, ...texts.pieces]);
  change(record);
  return record;
}

/** The record of an exchange, `about` which are the fields of its line, of the records of its
 * messages. */
export function exchangeRecordOf(about, messages, change = () => {}) {
  const fixed = recordOf({
    bodySize: 0,
    ...about,
    direction: 'request',
    httpVersion: undefined,
    headers: {},
    durationMs: about.totalMs,
    body: undefined,
    bodyEncoding: undefined,
    incomplete: undefined,
  }).subarray(0, fixedSize);
  const record = Buffer.concat([fixed, ...messages]);
  record.writeUInt32LE(record.length, 0);
  record.writeUInt8(2, 7);
  record.writeUInt8(orphans.indexOf(about.orphan), 30);
  record.writeUInt8(incomplete.indexOf(about.orphanCause), 31);
  record.writeUInt32LE(record.readUInt32LE(16) + (about.totalMs === undefined ? 0 : 4), 16);
  record.fill(0, 112, 144);
  record.writeUInt32LE(fixedSize, 144);
  record.writeUInt32LE(record.length - fixedSize, 148);
  change(record);
  return record;
}

/** The record of which `names` were selected: `shown` says which fields it has. */
export function selectedRecordOf(fields, names, shown, change = () => {}) {
  const whole = recordOf(fields);
  const more = 16;
  const text = Buffer.from(names);
  const padding = Buffer.alloc((8 - (text.length % 8)) % 8);
  const record = Buffer.concat([
    whole.subarray(0, fixedSize),
    Buffer.alloc(more),
    whole.subarray(fixedSize),
    text,
    padding,
  ]);
  const move = (at) => record.writeUInt32LE(record.readUInt32LE(at) + more, at);
  for (const place of [112, 120, 128, 144]) move(place);
  const list = record.readUInt32LE(128);
  for (let i = 0; i < record.readUInt32LE(132); i += 1) {
    move(list + 16 * i);
    move(list + 16 * i + 8);
  }
  record.writeUInt32LE(record.length, 0);
  record.writeUInt16LE(fixedSize + more, 8);
  record.writeUInt32LE(record.readUInt32LE(16) + 8192, 16);
  record.writeUInt32LE(shown, 152);
  record.writeUInt32LE(whole.length + more, 160);
  record.writeUInt32LE(text.length, 164);
  change(record);
  return record;
}
