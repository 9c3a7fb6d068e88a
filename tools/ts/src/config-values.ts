/** What the checks of a configuration share: each throws INVALID_CONFIG with the value and what is
 * allowed. */
import { SnifferError } from './errors.js';
import { quoted } from './printable.js';

export function refuse(message: string): never {
  throw new SnifferError('INVALID_CONFIG', message);
}

export type Kind = 'boolean' | 'function' | 'object' | 'string' | 'number';

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A URL, or a text that was meant to be one, without the user name and the password. */
export function withoutCredentials(given: string | URL): string {
  const text = String(given);
  // In a text that is no URL of the web, whatever stands before an @ may be a password.
  const whole = text.replace(/^([a-z0-9+.:-]*\/\/)?.*@/is, '$1[redacted]@');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return whole;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return whole;
  if (url.username === '' && url.password === '') return text;
  const { href } = url;
  return `${url.protocol}//[redacted]${href.slice(href.indexOf('@'))}`;
}

export function show(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value instanceof URL) return quoted(withoutCredentials(value));
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (isObject(value)) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

export function demand(key: string, value: unknown, kind: Kind, allowed: string): void {
  const fits = kind === 'object' ? isObject(value) : typeof value === kind;
  if (value !== undefined && !fits)
    refuse(`${key}: ${show(value)} is not ${allowed}; allowed: ${allowed}`);
}

export function wholeNumber(
  key: string,
  value: unknown,
  fallback: number,
  minimum: number,
  maximum: number,
): number {
  if (value === undefined) return fallback;
  const allowed = `a whole number from ${minimum} to ${maximum}`;
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    refuse(`${key}: ${show(value)} is not a whole number; allowed: ${allowed}`);
  }
  if (value < minimum || value > maximum) {
    refuse(`${key}: ${value} is out of range; allowed: ${allowed}`);
  }
  return value;
}

export function refuseUnknown(
  key: string,
  value: Record<string, unknown>,
  known: readonly string[],
): void {
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      refuse(`${key}: unknown key ${quoted(name)}; allowed: ${known.join(', ')}`);
    }
  }
}

/** A size as the engine reads it, `64K` or `1MiB` too; undefined: it is none. */
export function bytesOf(value: unknown): number | undefined {
  const parts = /^(\d+)([KMGT]?)(?:IB)?$/.exec(String(value).toUpperCase());
  if (parts === null) return undefined;
  return Number(parts[1]) * 1024 ** ' KMGT'.indexOf(parts[2] || ' ');
}
