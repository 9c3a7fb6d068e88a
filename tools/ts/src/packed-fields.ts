import type { ExchangeFields, MessageFields } from './generated.js';
import {
  anomalyWords,
  at,
  bodyKind,
  decodeErrorWords,
  flag,
  incompleteWords,
  part,
  readI64,
  readU64,
} from './packed-layout.js';
import {
  endpointOf,
  firstTextOf,
  hasFlag,
  headersOf,
  isPop3,
  isRequest,
  partNumberOf,
  partOf,
  proxiedOf,
  type RecordBytes,
  rawHeadersOf,
  secondTextOf,
  trailersOf,
} from './packed-record.js';
import { idText, ipText, timeText } from './packed-text.js';

/** Makes of records the plain objects that lines are, with their fields in the lines' order. */

const nsPerMs = 1e6;

type Out = Record<string, unknown>;

export function httpVersionOf(view: DataView, record: number): MessageFields['httpVersion'] {
  switch (view.getUint8(record + at.httpVersion)) {
    case 0:
      return undefined;
    case 9:
      return '0.9';
    case 10:
      return '1.0';
    default:
      return '1.1';
  }
}

export function millisecondsAt(view: DataView, offset: number): number {
  return readI64(view, offset) / nsPerMs;
}

export function bodyEncodingOf(view: DataView, record: number): MessageFields['bodyEncoding'] {
  const kind = view.getUint8(record + at.bodyKind);
  return kind === bodyKind.bytes ? 'base64' : kind === bodyKind.leftOut ? 'binary' : undefined;
}

export function bodyOf({ view, bytes, record }: RecordBytes): string | undefined {
  const kind = view.getUint8(record + at.bodyKind);
  if (kind !== bodyKind.text && kind !== bodyKind.bytes) return undefined;
  const begin = record + view.getUint32(record + at.body, true);
  const end = begin + view.getUint32(record + at.body + 4, true);
  if (kind === bodyKind.text) return bytes.utf8Slice(begin, end);
  return bytes.toString('base64', begin, end);
}

/** What the record says beyond the fields of its fixed part. */
function hasPartsOf({ view, record }: RecordBytes): boolean {
  return view.getUint32(record + at.parts + 4, true) !== 0;
}

/** A message: all fields. With `latin1` those that are Latin-1 are added there, and are no field. */
export function fieldsOfMessage(from: RecordBytes, latin1?: string[]): MessageFields {
  const { view, record } = from;
  const out: Out = { timestamp: timeText(view, record + at.firstByteNs) };
  const noted: string[] = latin1 ?? [];
  const hasParts = hasPartsOf(from);
  addIdentity(from, out, hasParts, true);
  addHead(from, out, noted, hasParts);
  addMeasures(from, out, hasParts, true);
  if (hasParts) {
    addInterface(from, out, noted);
    addFrames(from, out);
    addNetwork(from, out);
  }
  if (latin1 === undefined && noted.length > 0) out.latin1 = noted;
  addBody(from, out);
  return out as unknown as MessageFields;
}

/** What the line of an exchange says beside its messages. */
export function fieldsOfExchange(
  from: RecordBytes,
  orphan: ExchangeFields['orphan'],
  latin1?: string[],
): Out {
  const { view, record } = from;
  const out: Out = { timestamp: timeText(view, record + at.firstByteNs) };
  const noted: string[] = latin1 ?? [];
  const hasParts = hasPartsOf(from);
  addIdentity(from, out, hasParts, false);
  if (hasFlag(view, record, flag.hasLatency)) {
    out.latencyMs = millisecondsAt(view, record + at.latencyNs);
  }
  if (hasFlag(view, record, flag.hasTotal)) {
    out.totalMs = millisecondsAt(view, record + at.durationNs);
  }
  if (orphan !== undefined) out.orphan = orphan;
  const cause = incompleteWords[view.getUint8(record + at.orphanCause)];
  if (cause !== undefined) out.orphanCause = cause;
  if (hasParts) {
    addInterface(from, out, noted);
    addNetwork(from, out);
  }
  if (latin1 === undefined && noted.length > 0) out.latin1 = noted;
  return out;
}

/** What the record of an exchange says of the connection, beyond its fixed part. */
export function connectionFieldsOf(from: RecordBytes): Out {
  const out: Out = {};
  if (hasPartsOf(from)) addNetwork(from, out);
  return out;
}

/** A message as it stands in the line of its exchange, which has what is said once of all its
 * messages. */
export function fieldsInExchange(
  from: RecordBytes,
  isInterim: boolean,
  interfaceOfRequests: unknown,
): Out {
  const { view, record } = from;
  const out: Out = isRequest(view, record)
    ? {}
    : { timestamp: timeText(view, record + at.firstByteNs) };
  const latin1: string[] = [];
  const hasParts = hasPartsOf(from);
  addHead(from, out, latin1, hasParts);
  addMeasures(from, out, hasParts, isInterim);
  if (hasParts) {
    addInterface(from, out, latin1, interfaceOfRequests);
    addFrames(from, out);
  }
  if (latin1.length > 0) out.latin1 = latin1;
  addBody(from, out);
  return out;
}

function addIdentity(from: RecordBytes, out: Out, hasParts: boolean, isMessage: boolean): void {
  const { view, record } = from;
  out.connectionId = idText(view, record + at.connectionId);
  if (hasFlag(view, record, flag.hasExchange)) out.exchange = readU64(view, record + at.exchange);
  if (isMessage) out.direction = isRequest(view, record) ? 'request' : 'response';
  out.receiver = endpointOf(view, record, at.receiverIp, at.receiverPort);
  out.destination = endpointOf(view, record, at.destinationIp, at.destinationPort);
  if (hasParts) {
    const proxied = proxiedOf(view, record);
    if (proxied !== undefined) out.proxied = proxied;
    const client = partOf(view, record, part.client);
    if (client !== undefined) out.client = ipText(view, client.begin, false);
  }
  if (isPop3(view, record)) out.protocol = 'pop3';
}

function addHead(from: RecordBytes, out: Out, latin1: string[], hasParts: boolean): void {
  const { view, record } = from;
  if (hasParts) {
    const number = partNumberOf(view, record);
    if (number !== undefined) {
      if (number.number !== 0) out.part = number.number;
      if (number.isLast) out.lastPart = true;
      // Later parts have no head, unless it was selected.
      if (number.number > 1 && !hasFlag(view, record, flag.selected)) {
        addTrailers(from, out, latin1);
        return;
      }
    }
  }
  addStartLine(from, out, latin1);
  if (isPop3(view, record)) return;
  out.httpVersion = httpVersionOf(view, record);
  const isAscii = hasFlag(view, record, flag.textsAreAscii);
  const offset = view.getUint32(record + at.headers, true);
  const count = view.getUint32(record + at.headers + 4, true);
  out.headers = headersOf(from, offset, count, 'headers', isAscii ? undefined : latin1);
  if (hasFlag(view, record, flag.rawHeaders)) out.rawHeaders = rawHeadersOf(from);
  if (hasParts) addTrailers(from, out, latin1);
}

function addStartLine(from: RecordBytes, out: Out, latin1: string[]): void {
  const { view, record } = from;
  const isCommand = isPop3(view, record);
  let second = 'statusText';
  if (isRequest(view, record)) {
    out.method = firstTextOf(from);
    if (hasFlag(view, record, flag.firstTextIsLatin1)) latin1.push('method');
    second = isCommand ? 'argument' : 'path';
  } else if (isCommand) {
    out.status = firstTextOf(from);
  } else {
    const status = view.getUint16(record + at.status, true);
    if (status !== 0) out.statusCode = status;
  }
  out[second] = secondTextOf(from);
  if (hasFlag(view, record, flag.secondTextIsLatin1)) latin1.push(second);
}

function addTrailers(from: RecordBytes, out: Out, latin1: string[]): void {
  const trailers = trailersOf(from, latin1);
  if (trailers !== undefined) out.trailers = trailers;
}

function addMeasures(from: RecordBytes, out: Out, hasParts: boolean, hasLatency: boolean): void {
  const { view, bytes, record } = from;
  out.bodySize = readU64(view, record + at.bodySize);
  if (hasFlag(view, record, flag.bodyTruncated)) out.bodyTruncated = true;
  if (hasFlag(view, record, flag.bodyWithheld)) out.bodyRedacted = 'unreadable';
  const decoded = hasParts ? partOf(view, record, part.contentDecoded) : undefined;
  if (decoded !== undefined) {
    out.contentDecoded = bytes.latin1Slice(decoded.begin, decoded.begin + decoded.length);
  }
  const error = decodeErrorWords[view.getUint8(record + at.contentDecodeError)];
  if (error !== undefined) out.contentDecodeError = error;
  out.durationMs = millisecondsAt(view, record + at.durationNs);
  if (hasLatency && hasFlag(view, record, flag.hasLatency)) {
    out.latencyMs = millisecondsAt(view, record + at.latencyNs);
  }
  const incomplete = incompleteWords[view.getUint8(record + at.incomplete)];
  if (incomplete !== undefined) out.incomplete = incomplete;
  const losses = hasParts ? partOf(view, record, part.losses) : undefined;
  if (losses !== undefined) addLosses(view, out, losses.begin, losses.length);
  if (hasFlag(view, record, flag.headersIncomplete)) out.headersIncomplete = true;
  if (hasFlag(view, record, flag.afterGap)) out.afterGap = true;
  const anomalies = view.getUint32(record + at.anomalies, true);
  if (anomalies !== 0) {
    out.anomalies = anomalyWords.filter((_, bit) => (anomalies >>> bit) & 1);
  }
}

function addLosses(view: DataView, out: Out, begin: number, length: number): void {
  const missing = readU64(view, begin);
  if (missing !== 0) out.missingBytes = missing;
  const gaps: [number, number][] = [];
  for (let gap = begin + 8; gap + 16 <= begin + length; gap += 16) {
    gaps.push([readU64(view, gap), readU64(view, gap + 8)]);
  }
  if (gaps.length > 0) out.bodyGaps = gaps;
}

function addInterface(from: RecordBytes, out: Out, latin1: string[], except?: unknown): void {
  const { view, bytes, record } = from;
  const link = partOf(view, record, part.interface);
  if (link === undefined) return;
  const isLatin1 = hasFlag(view, record, flag.interfaceIsLatin1);
  const end = link.begin + link.length;
  const name = isLatin1 ? bytes.latin1Slice(link.begin, end) : bytes.utf8Slice(link.begin, end);
  if (name === except) return;
  out.interface = name;
  if (isLatin1) latin1.push('interface');
}

function addFrames({ view, record }: RecordBytes, out: Out): void {
  const extended = partOf(view, record, part.extended);
  if (extended === undefined) return;
  const firstFrame = readU64(view, extended.begin);
  if (firstFrame !== 0) {
    out.firstFrame = firstFrame;
    out.lastFrame = readU64(view, extended.begin + 8);
  }
  out.headersSize = view.getUint32(extended.begin + 24, true);
}

function addNetwork({ view, bytes, record }: RecordBytes, out: Out): void {
  const extended = partOf(view, record, part.extended);
  if (extended === undefined) return;
  const { begin } = extended;
  const vlan = view.getUint16(begin + 28, true);
  if (vlan !== 0) out.vlan = vlan;
  out.communityId = bytes.latin1Slice(begin + 30, begin + 60);
  const connectNs = readI64(view, begin + 16);
  if (connectNs >= 0) out.connectMs = connectNs / nsPerMs;
}

function addBody(from: RecordBytes, out: Out): void {
  const bodyEncoding = bodyEncodingOf(from.view, from.record);
  if (bodyEncoding !== undefined) out.bodyEncoding = bodyEncoding;
  const body = bodyOf(from);
  if (body !== undefined) out.body = body;
}
