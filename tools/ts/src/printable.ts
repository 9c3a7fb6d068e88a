/** Text from outside made safe to show: what the engine's printable() does, character for
 * character. */

// C0, DEL, C1, direction marks, characters of no width, line and paragraph separators, embeddings,
// overrides, isolates.
function harmsATerminal(code: number): boolean {
  return (
    code < 0x20 ||
    (code >= 0x7f && code <= 0x9f) ||
    code === 0x061c ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff
  );
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(character: string, code: number): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  return code < 0x80 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

export function printable(text: string): string {
  let out = '';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    out += harmsATerminal(code) ? escaped(character, code) : character;
  }
  return out;
}

/** printable(), in double quotes, cut after about `sizeMax` bytes. */
export function quoted(text: string, sizeMax = 64): string {
  let kept = '';
  let size = 0;
  let cut = false;
  for (const character of text) {
    const length = Buffer.byteLength(character);
    if (size + length > sizeMax) {
      cut = true;
      break;
    }
    size += length;
    kept += character;
  }
  return `"${printable(kept).replaceAll('"', '\\"')}${cut ? '..."' : '"'}`;
}
