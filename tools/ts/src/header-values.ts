/** HTTP headers that the user gives, checked before anything is sent. */
import { validateHeaderName } from 'node:http';

/** Set by the sender itself; another value would make the request unreadable. */
const ownHeaders: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

function nameOfCharacter(code: number): string {
  if (code === 0x0a || code === 0x0d) return 'a line end';
  return code <= 0xff ? 'a control character' : 'a character that is not Latin-1';
}

/** Why a header cannot have this value, or undefined. The value is not shown: it may be a secret. */
export function valueFault(value: string): string | undefined {
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    const fits = code === 0x09 || (code >= 0x20 && code !== 0x7f && code <= 0xff);
    if (fits) continue;
    const isLast = at === value.length - 1;
    const where = isLast ? 'ends with' : `has, as character ${at + 1},`;
    return `the value ${where} ${nameOfCharacter(code)}; allowed: printable characters of Latin-1`;
  }
  return undefined;
}

/** Why this is no header that can be sent, or undefined. */
export function headerFault(name: string, value: unknown): string | undefined {
  try {
    validateHeaderName(name);
  } catch {
    return 'the name is none of a header; allowed: letters, digits and -';
  }
  if (ownHeaders.has(name.toLowerCase())) return 'this header is set here; allowed: other headers';
  if (typeof value !== 'string') return 'the value is not a text; allowed: a text';
  return valueFault(value);
}
