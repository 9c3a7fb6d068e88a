/**
 * The engine's rules for its configuration, in its words: what this refuses the engine refuses with
 * the same sentence (test/config.test.ts asks both). The keys, types and ranges come from
 * tools/schema/config.schema.json; this file knows how to say them.
 */
import { configSchema, type EngineConfig } from './generated.js';
import { isUtf8Text, quoted } from './printable.js';

interface NumberRange {
  minimum: number;
  maximum: number;
}

/** A key, as the engine's table has it. */
type Rule =
  | { type: 'boolean' }
  | ({ type: 'ratio' } & NumberRange)
  | ({ type: 'number'; unit: 'none' | 'bytes' | 'milliseconds' } & NumberRange)
  | { type: 'word'; words: readonly string[] }
  | { type: 'text'; kind: TextKind }
  | ({ type: 'numbers' } & NumberRange)
  | { type: 'words'; words: readonly string[] }
  | { type: 'texts'; kind: TextKind };
type TextKind = 'text' | 'name' | 'path' | 'headerName' | 'listener';

interface Property {
  type?: string;
  enum?: readonly string[];
  minimum?: number;
  maximum?: number;
  anyOf?: readonly Property[];
  items?: Property;
  'x-kind'?: string;
  'x-unit'?: string;
}

function rangeOf(property: Property): NumberRange {
  return { minimum: property.minimum ?? 0, maximum: property.maximum ?? 0 };
}

function ruleOf(property: Property): Rule {
  const kind = (property['x-kind'] ?? 'text') as TextKind;
  const unit = (property['x-unit'] ?? 'none') as 'none' | 'bytes' | 'milliseconds';
  if (property.anyOf?.[0] !== undefined) {
    return { type: 'number', unit, ...rangeOf(property.anyOf[0]) };
  }
  if (property.enum !== undefined) return { type: 'word', words: property.enum };
  const items = property.items;
  switch (property.type) {
    case 'boolean':
      return { type: 'boolean' };
    case 'number':
      return { type: 'ratio', ...rangeOf(property) };
    case 'integer':
      return { type: 'number', unit, ...rangeOf(property) };
    case 'array':
      if (items?.enum !== undefined) return { type: 'words', words: items.enum };
      if (items?.type === 'integer') return { type: 'numbers', ...rangeOf(items) };
      return { type: 'texts', kind };
    default:
      return { type: 'text', kind };
  }
}

const rules: ReadonlyMap<string, Rule> = new Map(
  Object.entries(configSchema.properties).map(([key, property]) => [key, ruleOf(property)]),
);

/** The keys that the engine knows. */
export const engineKeys: ReadonlySet<string> = new Set(rules.keys());

// A number as the engine's JSON library writes it: 1e-07, 1e+20, and 2^64 - 1 whole.
function numberText(value: number): string {
  if (value === 2 ** 64) return '18446744073709551615';
  if (!Number.isFinite(value)) return String(value);
  const text =
    Number.isInteger(value) && Math.abs(value) < 2 ** 64
      ? BigInt(value).toString()
      : Math.abs(value) >= 2 ** 64
        ? value.toExponential()
        : String(value);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return numberText(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'object':
      return value === null ? 'null' : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

function rangeText({ minimum, maximum }: NumberRange): string {
  return `from ${numberText(minimum)} to ${numberText(maximum)}`;
}

function textAllowed(kind: TextKind, list: boolean): string {
  switch (kind) {
    case 'text':
      return list ? 'strings' : 'a string';
    case 'name':
      return list ? 'names that are not empty' : 'a name that is not empty';
    case 'path':
      return list ? 'paths, at least one, none empty' : 'a path that is not empty';
    case 'headerName':
      return 'header names';
    case 'listener':
      return 'ADDRESS:PORT or a port, from 1 to 65535';
  }
}

/** What a rule allows, for people. */
function allowedText(rule: Rule): string {
  switch (rule.type) {
    case 'boolean':
      return 'true or false';
    case 'word':
      return `one of ${rule.words.join(', ')}`;
    case 'words':
      return `a list of ${rule.words.join(', ')}`;
    case 'ratio':
      return `a number ${rangeText(rule)}`;
    case 'numbers':
      return `a list of whole numbers ${rangeText(rule)}, none twice`;
    case 'number':
      if (rule.unit === 'bytes') {
        return `whole bytes ${rangeText(rule)}, also written as "64K", "1M", "2G"`;
      }
      if (rule.unit === 'milliseconds') {
        return `whole milliseconds ${rangeText(rule)}, in flags also 500ms, 5s, 2m`;
      }
      return `a whole number ${rangeText(rule)}`;
    case 'text':
      return textAllowed(rule.kind, false);
    case 'texts':
      return `a list of ${textAllowed(rule.kind, true)}`;
  }
}

/** `64K`, `1M`, `2G`, `64MiB` (powers of 1024) as bytes; undefined when the text is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)([KMGT])(IB)?$/.exec(text.toUpperCase());
  if (match === null) return undefined;
  return Number(match[1]) * 1024 ** ('KMGT'.indexOf(match[2] as string) + 1);
}

function numberFault(rule: Rule & { type: 'number' | 'numbers' }, value: unknown): string | null {
  const unit = rule.type === 'number' ? rule.unit : 'none';
  let number: number;
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) {
      const outOfRange = Number.isFinite(value) ? 'is not a whole number' : 'is out of range';
      return outOfRange;
    }
    number = value;
  } else if (unit === 'bytes' && typeof value === 'string') {
    const size = parseSize(value);
    if (size === undefined) return 'is not a size';
    number = size;
  } else {
    return unit === 'milliseconds' ? 'is not a duration' : 'is not a whole number';
  }
  return number < rule.minimum || number > rule.maximum ? 'is out of range' : null;
}

// A port alone, or what stands before the last colon: an IPv6 address is in brackets.
function isListener(text: string): boolean {
  const colon = text.lastIndexOf(':');
  const port = text.slice(colon + 1);
  if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65535) return false;
  if (colon <= 0) return true;
  const address = text.slice(0, colon);
  return /^\[.+\]$/.test(address) || !/[[\]:]/.test(address);
}

function textFault(kind: TextKind, value: unknown): string | null {
  if (typeof value !== 'string') return 'is not a string';
  if (value.includes('\0')) return 'contains U+0000';
  if (!isUtf8Text(value)) return 'is not valid UTF-8';
  if (kind !== 'text' && value === '') return 'is empty';
  // RFC 9110 section 5.6.2: token.
  if (kind === 'headerName' && !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value)) {
    return 'is not a header name';
  }
  if (kind === 'listener' && !isListener(value)) return 'is not an address and port';
  return null;
}

/** The element at fault and what is wrong with it. */
type Fault = { value: unknown; problem: string } | null;

function faultOf(value: unknown, problem: string | null): Fault {
  return problem === null ? null : { value, problem };
}

function listFault(
  value: unknown,
  emptyRefused: boolean,
  repeatsRefused: boolean,
  itemProblem: (item: unknown) => string | null,
): Fault {
  if (!Array.isArray(value)) return { value, problem: 'is not a list' };
  if (value.length === 0 && emptyRefused) return { value, problem: 'names nothing' };
  const seen = new Set<unknown>();
  for (const item of value) {
    const problem = itemProblem(item);
    if (problem !== null) return { value: item, problem };
    if (repeatsRefused && seen.has(item)) return { value: item, problem: 'is given twice' };
    seen.add(item);
  }
  return null;
}

function wordProblem(words: readonly string[], value: unknown): string | null {
  return words.includes(value as string) ? null : 'is not one of the words';
}

function check(rule: Rule, value: unknown): Fault {
  switch (rule.type) {
    case 'boolean':
      return faultOf(value, typeof value === 'boolean' ? null : 'is not true or false');
    case 'ratio':
      if (typeof value !== 'number') return { value, problem: 'is not a number' };
      return faultOf(
        value,
        value >= rule.minimum && value <= rule.maximum ? null : 'is out of range',
      );
    case 'number':
      return faultOf(value, numberFault(rule, value));
    case 'word':
      return faultOf(value, wordProblem(rule.words, value));
    case 'text':
      return faultOf(value, textFault(rule.kind, value));
    case 'numbers':
      return listFault(value, false, true, (item) => numberFault(rule, item));
    case 'words':
      return listFault(value, true, true, (item) => wordProblem(rule.words, item));
    case 'texts':
      return listFault(value, rule.kind === 'path', false, (item) => textFault(rule.kind, item));
  }
}

/** What a key of the engine allows, for people. */
export function allowedOf(key: string): string | undefined {
  const rule = rules.get(key);
  return rule && allowedText(rule);
}

/** What is wrong with the value of one engine key, or null. */
export function keyProblem(key: string, value: unknown): string | null {
  const rule = rules.get(key);
  if (rule === undefined) return `unknown key ${quoted(key)}`;
  const fault = check(rule, value);
  if (fault === null) return null;
  return `${key}: ${shown(fault.value)} ${fault.problem}; allowed: ${allowedText(rule)}`;
}

/** The sentence about a key that nobody knows; `keys` are the known ones. */
export function unknownKeyProblem(key: string, value: unknown, keys: Iterable<string>): string {
  let out = `unknown key ${quoted(key)}`;
  if (typeof value !== 'object' || value === null) out += ` with the value ${shown(value)}`;
  const meant = closestName(key, [...keys]);
  if (meant !== undefined) return `${out}; did you mean "${meant}"?`;
  return `${out}; allowed: the keys that --help lists, in camelCase`;
}

/** The rules that span keys, on keys that are each valid. */
export function spanningProblem(config: EngineConfig): string | null {
  const { files, ports = [] } = config;
  if (config.interface !== undefined && files !== undefined) {
    return `interface: ${quoted(config.interface)} and files: ${quoted(files[0] ?? '')} exclude each other; allowed: one of the two`;
  }
  if (files?.includes('-')) {
    return 'files: "-" is standard input, which --config - reads too; allowed: one of the two';
  }
  if (files === undefined && ports.length === 0) {
    return (
      'ports: none given for live capture; allowed: a list of whole numbers from 1 to ' +
      '65535, none twice (-p 80,8080); -r FILE reads capture files instead, --help lists all keys'
    );
  }
  const captureThreads = config.captureThreads ?? 1;
  const tunnels = config.tunnels ?? files !== undefined;
  if (captureThreads > 1 && config.shards === 0 && tunnels) {
    return (
      `captureThreads: ${captureThreads} together with shards: 0 and tunnels: true; the kernel ` +
      'spreads packets by their outer header, so the directions of a tunnelled connection would ' +
      'not meet; allowed: captureThreads 1, shards 1 or more, or tunnels false'
    );
  }
  const memoryLimit = bytesOf(config.memoryLimit, 'memoryLimit');
  if (config.reassemblyBufferSize !== undefined) {
    const size = bytesOf(config.reassemblyBufferSize, 'reassemblyBufferSize');
    if (size > memoryLimit) {
      return `reassemblyBufferSize: ${size} is more than memoryLimit: ${memoryLimit}; allowed: at most memoryLimit`;
    }
  }
  return null;
}

/** A key of bytes as a number; the schema's default when it is not given. */
export function bytesOf(value: number | string | undefined, key: keyof EngineConfig): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string') return parseSize(value) ?? 0;
  const property = configSchema.properties[key] as { default?: unknown };
  return Number(property.default);
}

function simplified(name: string): string {
  return name.replaceAll(/[-_]/g, '').toLowerCase();
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  const row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    let diagonal = row[0] as number;
    row[0] = i;
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = diagonal + (a[i - 1] === b[j - 1] ? 0 : 1);
      diagonal = row[j] as number;
      row[j] = Math.min(replaced, diagonal + 1, (row[j - 1] as number) + 1);
    }
  }
  return row[b.length] as number;
}

/** The name that was probably meant: case, dashes and underscores do not count; up to two wrong
 * letters do. */
function closestName(name: string, candidates: readonly string[]): string | undefined {
  if (Buffer.byteLength(name) > 64) return undefined;
  const wanted = simplified(name);
  let best: string | undefined;
  let bestDistance = wanted.length <= 4 ? 2 : 3;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, simplified(candidate));
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  if (best !== undefined || wanted.length < 4) return best;
  return candidates.find((candidate) => simplified(candidate).includes(wanted));
}
