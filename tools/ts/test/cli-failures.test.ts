// `npx tcp-sniffer` when those who read or take what it has are gone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { isAlive, packageDir, pcapsDir, realEngine, temporaryDir, until } from './support.js';

const cli = join(packageDir, 'build/src/cli.js');
const options = { skip: realEngine === undefined && 'no engine' };
const site = join(pcapsDir, 'site_and_api.pcap');

function start(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [cli, ...args], { env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (status) => resolve(status));
  });
  return { child, ended, errors: () => stderr };
}

/** A program that stands for the engine. */
function engineOf(script: string): NodeJS.ProcessEnv {
  const path = join(temporaryDir(), 'engine');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { TCP_SNIFFER_BINARY: path };
}

test('AReaderOfStandardErrorMayLeave', options, async () => {
  const har = join(temporaryDir(), 'out.har');
  const { child, ended } = start([site, '--har', har]);
  child.stderr.destroy();
  assert.equal(await ended, 0);
  assert.ok(JSON.parse(readFileSync(har, 'utf8')).log.entries.length > 0);
});

test('AReaderOfTheHelpMayLeave', options, async () => {
  const { child, ended, errors } = start(['--help']);
  child.stdout.destroy();
  await ended;
  assert.doesNotMatch(errors(), /EPIPE|at /);
});

test('AHarThatCannotBeWrittenEndsTheRun', options, async () => {
  if (!existsSync('/dev/full')) return;
  // Standard input stays open, as a live capture would go on.
  const { child, ended, errors } = start(['-r', '-', '--har', '/dev/full']);
  child.stdin.on('error', () => {});
  child.stdin.write(readFileSync(site));
  assert.equal(await ended, 7);
  assert.match(errors(), /har \/dev\/full: cannot be written any more: ENOSPC/);
});

test('AReaderOfTheHarMayLeave', options, async () => {
  const { child, ended } = start(['-r', '-', '--har', '-']);
  child.stdin.on('error', () => {});
  child.stdout.destroy();
  child.stdin.write(readFileSync(site));
  assert.equal(await ended, 7);
});

test('AnEngineThatWritesNonsenseIsEnded', async () => {
  const directory = temporaryDir();
  const pid = join(directory, 'pid');
  const har = join(directory, 'out.har');
  const env = engineOf(`echo $$ >'${pid}'; echo this is no packed record; exec sleep 3600`);
  const { ended, errors } = start(['-i', 'lo', '--har', har], env);
  assert.equal(await ended, 1);
  assert.match(errors(), /the output has no packed record where one begins/);
  assert.match(errors(), /out\.har: 0 entries/);
  await until(() => !isAlive(Number(readFileSync(pid, 'utf8'))), 'the end of the engine');
});

test('AnEngineThatIsKilledIsSaid', async () => {
  const har = join(temporaryDir(), 'out.har');
  const { ended, errors } = start(['-i', 'lo', '-q', '--har', har], engineOf('kill -9 $$'));
  // As the engine ended.
  assert.equal(await ended, null);
  assert.match(errors(), /the engine was ended by SIGKILL/);
  assert.equal(existsSync(har), false, 'nothing came before');
});

test('AHarStaysAsItWasWhenTheEngineFailsBeforeTheFirstExchange', options, async () => {
  const directory = temporaryDir();
  const [old, fresh] = [join(directory, 'old.har'), join(directory, 'fresh.har')];
  writeFileSync(old, 'of last week');
  for (const args of [[join(directory, 'nothing.pcap')], [site, '--no-such-flag']]) {
    for (const path of [old, fresh]) {
      const { ended } = start([...args, '--har', path]);
      assert.notEqual(await ended, 0);
    }
    assert.equal(readFileSync(old, 'utf8'), 'of last week');
    assert.equal(existsSync(fresh), false);
  }
});

test('AnOldHarIsReplacedWhateverItsLength', options, async () => {
  const path = join(temporaryDir(), 'out.har');
  for (const capture of ['site_and_api.pcap', 'posts.pcap']) {
    writeFileSync(path, 'x'.repeat(1_000_000));
    const { ended } = start([join(pcapsDir, capture), '--har', path]);
    assert.equal(await ended, 0);
    assert.ok(JSON.parse(readFileSync(path, 'utf8')).log.entries.length > 0);
  }
});
