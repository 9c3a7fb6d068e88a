import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { fakeEngine, isAlive, type Plan, packageDir, temporaryDir, until } from './support.js';

const index = pathToFileURL(join(packageDir, 'build/src/index.js')).href;

interface Program {
  child: ChildProcess;
  /** What it has written so far. */
  output(): string;
  /** Its exit status, or the signal that ended it. */
  ended: Promise<number | string | null>;
  log: string;
}

/** Runs a module that has `createSniffer` and `base`, a configuration on the fake engine. */
function run(body: string, plan: Plan, ownGroup = false): Program {
  const directory = temporaryDir();
  const file = join(directory, 'program.mjs');
  const log = join(directory, 'log');
  writeFileSync(log, '');
  writeFileSync(
    file,
    `import { createSniffer } from ${JSON.stringify(index)};
     const base = { interface: 'lo', ports: [80], binaryPath: ${JSON.stringify(fakeEngine)} };
     ${body}`,
  );
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, FAKE_ENGINE: JSON.stringify({ ...plan, log }) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: ownGroup,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (piece: string) => {
      text += piece;
    });
  }
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('close', (status, signal) => resolve(signal ?? status));
  });
  return { child, output: () => text, ended, log };
}

function enginePid(program: Program): number {
  return Number(/engine (\d+)/.exec(program.output())?.[1]);
}

const endlessProgram = `
  const sniffer = createSniffer({ ...base, onHttpMessage: () => {} });
  await sniffer.start();
  console.log('engine', sniffer.pid);`;

test('WhenTheParentIsKilledTheEngineDrainsAndEnds', async () => {
  const program = run(
    `const sniffer = createSniffer({ ...base, onHttpMessage: () => console.log('message') });
     await sniffer.start();
     console.log('engine', sniffer.pid);`,
    { exchanges: 5, holdOpen: true },
  );
  // Not before all is written, of which nobody would read the rest.
  await until(() => enginePid(program) > 0 && program.output().includes('message'), 'a message');
  const pid = enginePid(program);
  assert.ok(isAlive(pid));
  program.child.kill('SIGKILL');
  await program.ended;
  await until(() => !isAlive(pid), 'the end of the engine');
  assert.match(readFileSync(program.log, 'utf8'), /stopped/);
});

test('WhenTheParentIsKilledInFullFlowTheEngineEnds', async () => {
  const program = run(endlessProgram, { endless: true });
  await until(() => enginePid(program) > 0, 'the engine');
  const pid = enginePid(program);
  program.child.kill('SIGKILL');
  await program.ended;
  await until(() => !isAlive(pid), 'the end of the engine');
});

test('AnExitOfTheParentEndsTheEngine', async () => {
  const program = run(`${endlessProgram}\nprocess.exit(3);`, { exchanges: 5, holdOpen: true });
  assert.equal(await program.ended, 3);
  await until(() => !isAlive(enginePid(program)), 'the end of the engine');
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} drains and then ends the process as it always does`, async () => {
    const program = run(
      `let count = 0;
       const sniffer = createSniffer({
         ...base, handleSignals: true, onHttpMessage: () => { count += 1; },
       });
       sniffer.on('end', (stopped) => console.log('drained', count === stopped.messages.written));
       await sniffer.start();
       console.log('engine', sniffer.pid);`,
      { endless: true },
    );
    await until(() => enginePid(program) > 0, 'the engine');
    program.child.kill(signal);
    assert.equal(await program.ended, signal);
    assert.match(program.output(), /drained true/);
    assert.ok(!isAlive(enginePid(program)));
  });
}

test('InterruptOfATerminalReachesTheParentAlone', async () => {
  const program = run(
    `let count = 0;
     const sniffer = createSniffer({
       ...base, handleSignals: true, onHttpMessage: () => { count += 1; },
     });
     sniffer.on('end', (stopped) => console.log('drained', count === stopped.messages.written));
     await sniffer.start();
     console.log('engine', sniffer.pid);`,
    { endless: true },
    true,
  );
  await until(() => enginePid(program) > 0, 'the engine');
  // As a terminal does: to the whole process group.
  process.kill(-(program.child.pid ?? 0), 'SIGINT');
  assert.equal(await program.ended, 'SIGINT');
  assert.match(program.output(), /drained true/);
  const signals = readFileSync(program.log, 'utf8').match(/SIG/g);
  assert.equal(signals, null);
});

test('AnEndedSnifferKeepsNoProcessAlive', async () => {
  for (const transport of ['socket', 'fifo', 'pipe', 'fifo-threadpool']) {
    const program = run(
      `for await (const m of createSniffer({ ...base, transport: '${transport}' })) void m;
       console.log('over');`,
      { exchanges: 10 },
    );
    assert.equal(await program.ended, 0);
    assert.match(program.output(), /over/);
  }
});

test('OutputStdoutIntoAClosedPipeEndsQuietly', async () => {
  const program = run(
    `const sniffer = createSniffer({ ...base, outputStdout: true });
     await sniffer.start();
     await sniffer.finished();`,
    { endless: true },
  );
  await until(() => program.output().length > 0, 'a line');
  program.child.stdout?.destroy();
  assert.equal(await program.ended, 0);
});

test('MemoryStaysBoundedWithASlowConsumer', async () => {
  const program = run(
    `const sniffer = createSniffer(base);
     let seen = 0;
     let peak = 0;
     for await (const message of sniffer) {
       seen += message.bodySize;
       await new Promise((resolve) => setTimeout(resolve, 1));
       peak = Math.max(peak, process.memoryUsage.rss());
       if (performance.now() > 4000) break;
     }
     await sniffer.finished();
     console.log('peak', Math.round(peak / 1e6), 'MB', seen);`,
    { endless: true, bodyBytes: 100_000 },
  );
  assert.equal(await program.ended, 0);
  const peak = Number(/peak (\d+) MB/.exec(program.output())?.[1]);
  assert.ok(peak > 0 && peak < 200, program.output());
});
