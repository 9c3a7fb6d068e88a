import { isUtf8 } from 'node:buffer';
import type { Endpoint, ExchangeFields, MessageFields, Proxied } from './generated.js';
import { fieldsOfExchange, fieldsOfMessage } from './packed-fields.js';
import { at, fieldSize, flag, shown } from './packed-layout.js';
import { PackedMessage } from './packed-message.js';
import {
  hasFlag,
  isPop3,
  isRequest,
  type OfRequest,
  ofRequestOf,
  type RecordBytes,
} from './packed-record.js';

/** Records of `select`: what they have by the names that were selected. */

type Values = Record<string, unknown>;
type Side = 'request' | 'response' | undefined;

/** A name of `select`, taken apart. */
interface Name {
  name: string;
  /** The message before whose fields it stands: `request.bodySize`. */
  side: Side;
  /** What is left of it: `bodySize`. */
  bare: string;
  /** Of `headers.host` and the like: which header. */
  group: 'headers' | 'trailers' | undefined;
  header: string;
  /** Whether it is of the exchange or its connection, and not of one of its messages. */
  isShared: boolean;
  /** Whether it is of the request, and a response tells it of its own. */
  isOfRequest: boolean;
}

const sharedFields: ReadonlySet<string> = new Set([
  'timestamp',
  'connectionId',
  'exchange',
  'protocol',
  'receiver',
  'destination',
  'proxied',
  'client',
  'interface',
  'vlan',
  'communityId',
  'connectMs',
  'totalMs',
  'orphan',
  'orphanCause',
]);
const fieldsOfRequests: ReadonlySet<string> = new Set(['method', 'path', 'host', 'argument']);

function sideOf(name: string): Side {
  if (name.startsWith('request.')) return 'request';
  return name.startsWith('response.') ? 'response' : undefined;
}

function groupOf(bare: string): [Name['group'], string] {
  if (bare === 'contentType') return ['headers', 'content-type'];
  for (const group of ['headers', 'trailers'] as const) {
    if (bare.startsWith(`${group}.`)) return [group, bare.slice(group.length + 1)];
  }
  return [undefined, ''];
}

function partsOf(name: string): Name {
  const side = sideOf(name);
  const bare = side === undefined ? name : name.slice(side.length + 1);
  const [group, header] = groupOf(bare);
  const [first = ''] = name.split('.', 1);
  return {
    name,
    side,
    bare,
    group,
    header,
    isShared: sharedFields.has(first),
    isOfRequest: side === 'request' || fieldsOfRequests.has(bare),
  };
}

let lastNames = '';
let lastParts: Name[] = [];

/** The names that a record says it has; they are the same nearly always. */
function namesOf({ view, bytes, record }: RecordBytes): Name[] {
  const begin = record + view.getUint32(record + at.names, true);
  const text = bytes.latin1Slice(begin, begin + view.getUint32(record + at.names + 4, true));
  if (text !== lastNames) {
    // The engine takes none twice; one that is would be a key once all the same.
    lastParts = text === '' ? [] : [...new Set(text.split(','))].map(partsOf);
    lastNames = text;
  }
  return lastParts;
}

/** The first Host header as it was sent. */
function hostOf({
  view,
  bytes,
  record,
}: RecordBytes): { host: string; isLatin1: boolean } | undefined {
  const list = record + view.getUint32(record + at.headers, true);
  const end = list + view.getUint32(record + at.headers + 4, true) * fieldSize;
  for (let entry = list; entry < end; entry += fieldSize) {
    const nameBegin = record + view.getUint32(entry, true);
    const name = bytes.latin1Slice(nameBegin, nameBegin + view.getUint32(entry + 4, true));
    if (name.toLowerCase() !== 'host') continue;
    const begin = record + view.getUint32(entry + 8, true);
    const value = bytes.subarray(begin, begin + (view.getUint32(entry + 12, true) & 0x3fffffff));
    if (value.length === 0) return undefined;
    const isLatin1 = !isUtf8(value);
    return { host: value.toString(isLatin1 ? 'latin1' : 'utf8'), isLatin1 };
  }
  return undefined;
}

/** The values of one message, or of an exchange itself, by names. */
class SelectedValues {
  readonly #from: RecordBytes;
  readonly #fields: Values;
  readonly #latin1: ReadonlySet<string>;
  readonly #isRequest: boolean;
  readonly #ofRequest: OfRequest | undefined;

  constructor(from: RecordBytes, fields: Values, latin1: readonly string[]) {
    this.#from = from;
    this.#fields = fields;
    this.#latin1 = new Set(latin1);
    this.#isRequest = isRequest(from.view, from.record);
    this.#ofRequest = ofRequestOf(from);
  }

  /** The value; the names of what is Latin-1 in it are added to `latin1`. */
  of(name: Name, latin1: string[]): unknown {
    const { bare } = name;
    if (name.isOfRequest && !this.#isRequest) {
      const ofRequest = this.#ofRequest;
      if (ofRequest?.latin1.includes(bare)) latin1.push(name.name);
      return ofRequest?.[bare as 'bodySize' | 'method' | 'path' | 'host'];
    }
    if (name.side === 'response' && this.#isRequest) return undefined;
    if (name.group !== undefined) return this.#header(name, name.group, latin1);
    if (bare === 'headers' || bare === 'rawHeaders' || bare === 'trailers') {
      const group = bare === 'trailers' ? 'trailers' : 'headers';
      for (const one of this.#latin1) {
        if (one.startsWith(`${group}.`)) latin1.push(name.name + one.slice(group.length));
      }
      return this.#fields[bare];
    }
    if (bare === 'host') {
      const host = hostOf(this.#from);
      if (host?.isLatin1) latin1.push(name.name);
      return host?.host;
    }
    if (this.#latin1.has(bare)) latin1.push(name.name);
    const { view, record } = this.#from;
    return valueAt(this.#fields, bare === 'status' && !isPop3(view, record) ? 'statusCode' : bare);
  }

  #header(name: Name, group: 'headers' | 'trailers', latin1: string[]): unknown {
    if (this.#latin1.has(`${group}.${name.header}`)) latin1.push(name.name);
    const headers = this.#fields[group] as Values | undefined;
    return headers !== undefined && Object.hasOwn(headers, name.header)
      ? headers[name.header]
      : undefined;
  }
}

/** The value at a path as `proxied.source.ip`. */
function valueAt(fields: Values, path: string): unknown {
  let value: unknown = fields;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Values)[key];
  }
  return value;
}

/** The line of these names. `valueNamed` gives a value, and adds what is Latin-1 in it to the request's
 * names or to the others. */
function lineOfNames(
  names: Name[],
  valueNamed: (name: Name, ofRequest: string[], others: string[]) => unknown,
): Values {
  const out: Values = {};
  const ofRequest: string[] = [];
  const others: string[] = [];
  for (const name of names) {
    if (name.bare === 'latin1') {
      out[name.name] = undefined;
      continue;
    }
    const value = valueNamed(name, ofRequest, others);
    if (value !== undefined) out[name.name] = value;
  }
  for (const { name, bare, side } of names) {
    if (bare !== 'latin1') continue;
    const found =
      side === undefined ? [...ofRequest, ...others] : side === 'request' ? ofRequest : others;
    if (found.length > 0) out[name] = found;
    else delete out[name];
  }
  return out;
}

function valuesOf(from: RecordBytes): SelectedValues {
  const latin1: string[] = [];
  return new SelectedValues(from, fieldsOfMessage(from, latin1) as unknown as Values, latin1);
}

/** The line of a message. */
function selectedLineOf(from: RecordBytes): Values {
  const values = valuesOf(from);
  const isOfRequest = isRequest(from.view, from.record);
  return lineOfNames(namesOf(from), (name, ofRequest, others) =>
    values.of(name, isOfRequest ? ofRequest : others),
  );
}

/** The line of an exchange of which fields were selected, `request` and `response` of which are the
 * records of its messages, and `interim` the status codes of its interim responses. */
export function selectedExchangeOf(
  about: RecordBytes,
  request: RecordBytes | undefined,
  interim: number[] | undefined,
  response: RecordBytes | undefined,
  orphan: ExchangeFields['orphan'],
): Values {
  const latin1: string[] = [];
  const own = new SelectedValues(about, fieldsOfExchange(about, orphan, latin1), latin1);
  const ofRequest = request && valuesOf(request);
  const ofResponse = response && valuesOf(response);
  return lineOfNames(namesOf(about), (name, namesOfRequest, others) => {
    if (name.isShared) return own.of(name, others);
    if (name.bare === 'interim') return interim;
    if (name.isOfRequest) return ofRequest?.of(name, namesOfRequest);
    return ofResponse?.of(name, others);
  });
}

export function isSelected(view: DataView, record: number): boolean {
  return hasFlag(view, record, flag.selected);
}

/** A field of all messages that this one does not have, because it was not selected. */
export const notSelected = undefined as never;

/**
 * A message of which fields were selected: those that were not are undefined, whatever their types
 * say, and `toJSON()` has the line of NDJSON, with the names of `select` as keys. A message of an
 * exchange has no names, and `toJSON()` all that there is.
 */
export class SelectedMessage extends PackedMessage {
  override get timestamp(): string {
    return this.#shows(shown.timestamp) ? super.timestamp : notSelected;
  }

  override get connectionId(): string {
    return this.#shows(shown.connectionId) ? super.connectionId : notSelected;
  }

  override get receiver(): Endpoint {
    return this.#shows(shown.receiverIp) && this.#shows(shown.receiverPort)
      ? super.receiver
      : notSelected;
  }

  override get destination(): Endpoint {
    return this.#shows(shown.destinationIp) && this.#shows(shown.destinationPort)
      ? super.destination
      : notSelected;
  }

  override get proxied(): Proxied | undefined {
    return this.#shows(shown.proxied) ? super.proxied : undefined;
  }

  /** A response tells its request's. */
  override get method(): string | undefined {
    if (this.#isResponse()) return ofRequestOf(this.record)?.method;
    return this.#shows(shown.firstText) ? this.firstText() : undefined;
  }

  /** A response tells its request's. */
  override get path(): string | undefined {
    if (this.#isResponse()) return ofRequestOf(this.record)?.path;
    return this.#shows(shown.secondText) && this.protocol === undefined
      ? this.secondText()
      : undefined;
  }

  override get argument(): string | undefined {
    return this.#shows(shown.secondText) ? super.argument : undefined;
  }

  override get status(): '+OK' | '-ERR' | '+' | undefined {
    return this.#shows(shown.firstText) ? super.status : undefined;
  }

  override get statusText(): string | undefined {
    return this.#isResponse() && this.#shows(shown.secondText) ? this.secondText() : undefined;
  }

  override get httpVersion(): MessageFields['httpVersion'] {
    return this.#shows(shown.httpVersion) ? super.httpVersion : undefined;
  }

  override get bodySize(): number {
    return this.#shows(shown.bodySize) ? super.bodySize : notSelected;
  }

  override get durationMs(): number | undefined {
    return this.#shows(shown.duration) ? super.durationMs : undefined;
  }

  override get body(): string | undefined {
    return this.#shows(shown.body) ? super.body : undefined;
  }

  override get headersSize(): number | undefined {
    return this.#shows(shown.headersSize) ? super.headersSize : undefined;
  }

  override get communityId(): string | undefined {
    return this.#shows(shown.communityId) ? super.communityId : undefined;
  }

  override toJSON(): MessageFields {
    const { view, record } = this.record;
    const hasNames = view.getUint32(record + at.names + 4, true) > 0;
    const line = hasNames ? selectedLineOf(this.record) : this.#shownFields();
    return line as unknown as MessageFields;
  }

  protected override another(): PackedMessage {
    return new SelectedMessage();
  }

  #isResponse(): boolean {
    const { view, record } = this.record;
    return !isRequest(view, record);
  }

  #shows(bit: number): boolean {
    const { view, record } = this.record;
    return (view.getUint32(record + at.shown, true) & bit) !== 0;
  }

  /** What a message of an exchange has. */
  #shownFields(): Values {
    const { timestamp, connectionId, receiver, destination, method, path, argument } = this;
    const { statusText, status, httpVersion, bodySize, durationMs, body } = this;
    const { headersSize, communityId } = this;
    const fields: Values = {
      ...fieldsOfMessage(this.record),
      ...{ timestamp, connectionId, receiver, destination, method, path, argument },
      ...{ statusText, status, httpVersion, bodySize, durationMs, body },
      ...{ headersSize, communityId },
    };
    for (const name of Object.keys(fields)) if (fields[name] === undefined) delete fields[name];
    return fields;
  }
}
