/** Routes: patterns of paths that the user gives, so that many paths have one name. */

/** What a pattern may have beside text: `:name`, `{name}` and `*` stand for one segment, or a part of
 * one; `**` at the end for all the rest. */
const placeholder = /\{[^{}/]+\}|:[A-Za-z_]\w*|\*/g;

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function segmentExpression(pattern: string, segment: string): string {
  const found = [...segment.matchAll(placeholder)];
  // Two in one segment would let a long path be tried in very many ways.
  if (found.length > 1) {
    throw new TypeError(
      `route ${JSON.stringify(pattern)}: ${JSON.stringify(segment)} has two placeholders; allowed: one in a segment`,
    );
  }
  const [match] = found;
  if (match === undefined) return escaped(segment);
  const end = match.index + match[0].length;
  return `${escaped(segment.slice(0, match.index))}[^/]+${escaped(segment.slice(end))}`;
}

function compile(pattern: string): RegExp {
  if (typeof pattern !== 'string' || !pattern.startsWith('/')) {
    throw new TypeError(
      `route ${JSON.stringify(pattern)} does not begin with a slash; allowed: as in /users/:id, /users/{id}, /static/**`,
    );
  }
  const hasRest = pattern.endsWith('/**');
  const segments = (hasRest ? pattern.slice(0, -3) : pattern).split('/');
  const parts = segments.map((segment) => segmentExpression(pattern, segment));
  return new RegExp(`^${parts.join('/')}${hasRest ? '(?:/.*)?' : ''}$`, 's');
}

const compiledRoutes = new WeakMap<readonly string[], [string, RegExp][]>();

/** The first pattern that a path matches. Throws a TypeError when a pattern is none. */
export function routeOf(path: string, patterns: readonly string[]): string | undefined {
  let compiled = compiledRoutes.get(patterns);
  if (compiled === undefined) {
    compiled = patterns.map((pattern) => [pattern, compile(pattern)]);
    compiledRoutes.set(patterns, compiled);
  }
  return compiled.find(([, expression]) => expression.test(path))?.[0];
}
