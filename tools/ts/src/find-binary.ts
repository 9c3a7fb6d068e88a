import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SnifferError } from './errors.js';

const binaryName = 'tcp-sniffer';

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where package managers put the package's own program there is `tcp-sniffer` in PATH, too: a link
 * to it, or a script that runs it. */
const ownProgram = /\bdist\/cli\.js\b/;
const scriptBytesMax = 65_536;

function isOwnProgram(path: string): boolean {
  if (ownProgram.test(realpathSync(path))) return true;
  if (statSync(path).size > scriptBytesMax) return false;
  const text = readFileSync(path, 'latin1');
  return text.startsWith('#!') && ownProgram.test(text);
}

/** The build directories of the engine's source tree, where this package lies in one. */
function buildTree(): string[] {
  const paths: string[] = [];
  for (const start of [dirname(fileURLToPath(import.meta.url)), process.cwd()]) {
    for (let at = start; dirname(at) !== at; at = dirname(at)) {
      paths.push(join(at, 'build/release', binaryName), join(at, 'build', binaryName));
    }
  }
  return paths;
}

function named(path: string, said: string): string {
  const absolute = isAbsolute(path) ? path : resolve(path);
  if (!isFile(absolute)) {
    throw new SnifferError('BINARY_NOT_FOUND', `${said} is ${JSON.stringify(path)}: no such file`);
  }
  if (!isExecutable(absolute)) {
    throw new SnifferError(
      'BINARY_NOT_EXECUTABLE',
      `${said} is ${JSON.stringify(path)}: it is not executable`,
    );
  }
  return absolute;
}

/**
 * The engine's binary: the option, else the environment's TCP_SNIFFER_BINARY, else the first in
 * PATH, else the build tree that this package or the working directory lies in. What is named and
 * not there is an error, never a reason to look further.
 */
export function findBinary(
  option: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  if (option !== undefined) return named(option, 'binaryPath');
  const fromEnvironment = env.TCP_SNIFFER_BINARY;
  if (fromEnvironment) return named(fromEnvironment, 'TCP_SNIFFER_BINARY');
  const candidates = (env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => isAbsolute(directory))
    .map((directory) => join(directory, binaryName))
    .concat(buildTree());
  const found = candidates.find(
    (path) => isFile(path) && isExecutable(path) && !isOwnProgram(path),
  );
  if (found !== undefined) return found;
  throw new SnifferError(
    'BINARY_NOT_FOUND',
    'no tcp-sniffer in PATH nor in a build tree: install it, or say where it is with binaryPath or TCP_SNIFFER_BINARY',
  );
}
