import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fakeEngine, packageDir, pcapsDir, realEngine, temporaryDir } from './support.js';

const engine =
  realEngine === undefined
    ? { TCP_SNIFFER_BINARY: fakeEngine, FAKE_ENGINE: '{"exchanges":12,"connections":1}' }
    : { TCP_SNIFFER_BINARY: realEngine };

function run(directory: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, ...engine },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** The README's first program. */
function firstProgram(): string {
  const readme = readFileSync(join(packageDir, 'README.md'), 'utf8');
  const program = /^```js\n([\s\S]*?)^```$/m.exec(readme)?.[1];
  assert.ok(program !== undefined);
  return program;
}

test('ThePackedFileInstallsIntoAnEmptyProjectAndWorks', () => {
  const directory = temporaryDir();
  run(packageDir, 'npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', directory);
  const packed = readdirSync(directory).find((name) => name.endsWith('.tgz'));
  assert.ok(packed !== undefined);
  run(directory, 'npm', 'init', '-y', '--silent');
  run(directory, 'npm', 'install', '--offline', '--silent', '--no-audit', `./${packed}`);

  const installed = join(directory, 'node_modules/tcp-sniffer');
  assert.ok(existsSync(join(installed, 'dist/schema/message.schema.json')));
  assert.ok(!existsSync(join(installed, 'src')) && !existsSync(join(installed, 'test')));

  const program = firstProgram();
  assert.ok(program.trimEnd().split('\n').length <= 5);
  writeFileSync(join(directory, 'first.mjs'), program);
  const capture = join(directory, 'capture.pcap');
  if (realEngine === undefined) writeFileSync(capture, '');
  else copyFileSync(join(pcapsDir, 'site_and_api.pcap'), capture);
  const lines = run(directory, process.execPath, 'first.mjs').trimEnd().split('\n');
  assert.equal(lines.length, 24);
  assert.match(lines[0] ?? '', /^request GET \//);

  if (realEngine !== undefined) {
    run(directory, 'npx', '--offline', 'tcp-sniffer', 'capture.pcap', '-q', '--har', 'out.har');
    const har = JSON.parse(readFileSync(join(directory, 'out.har'), 'utf8'));
    assert.equal(har.log.entries.length, 12);
  }

  // The same program as TypeScript, against the package's types.
  writeFileSync(join(directory, 'first.mts'), program);
  const types = join(packageDir, 'node_modules/@types');
  run(
    directory,
    process.execPath,
    join(packageDir, 'node_modules/typescript/bin/tsc'),
    ...['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext'],
    ...['--types', 'node', '--typeRoots', types, 'first.mts'],
  );
});
