// The life of a sniffer: its start, its events, loops over it, and its end.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { createSniffer } from '../src/index.js';
import { fakeSniffer, hasCode, OrderCheck, temporaryDir, until } from './support.js';

test('TheEngineGetsItsKeysAsOneLineAndNoOthers', async () => {
  const log = join(temporaryDir(), 'log');
  const sniffer = fakeSniffer(
    { log },
    { maxBodySize: '64K', redactHeaders: ['Authorization'], onHttpMessage: () => {} },
  );
  await sniffer.start();
  await sniffer.finished();
  const line = readFileSync(log, 'utf8').split('\n')[0] ?? '';
  assert.deepEqual(JSON.parse(line.replace('config ', '')), {
    interface: 'lo',
    ports: [80],
    maxBodySize: '64K',
    redactHeaders: ['Authorization'],
    format: 'ndjson',
  });
});

test('StartRejectsWithTheEnginesCode', async () => {
  const cases: [string, number][] = [
    ['INVALID_CONFIG', 2],
    ['INVALID_INTERFACE', 3],
    ['PERMISSION_DENIED', 4],
    ['CAPTURE_OPEN_FAILED', 5],
    ['INPUT_FILE', 6],
    ['INTERNAL', 70],
  ];
  for (const [code, status] of cases) {
    const sniffer = fakeSniffer({ fatal: { code, message: `it is ${code}`, status } });
    await assert.rejects(sniffer.start(), hasCode(code, new RegExp(`it is ${code}`)));
    assert.equal(sniffer.isRunning(), false);
    await sniffer.stop();
  }
});

test('ABadBinaryPathIsSaid', async () => {
  const missing = createSniffer({ ports: [80], binaryPath: '/nowhere/tcp-sniffer' });
  await assert.rejects(
    missing.start(),
    hasCode('BINARY_NOT_FOUND', /^binaryPath is "\/nowhere\/tcp-sniffer": no such file$/),
  );
  const directory = temporaryDir();
  const plain = join(directory, 'plain');
  writeFileSync(plain, 'text');
  await assert.rejects(
    createSniffer({ ports: [80], binaryPath: plain }).start(),
    hasCode('BINARY_NOT_EXECUTABLE', /not executable$/),
  );
  chmodSync(plain, 0o755);
  writeFileSync(plain, '\x7fELF, but not really');
  await assert.rejects(
    createSniffer({ ports: [80], binaryPath: plain }).start(),
    hasCode('BINARY_NOT_EXECUTABLE', /cannot be run/),
  );
});

test('AnInvalidConfigurationStartsNothing', async () => {
  const log = join(temporaryDir(), 'log');
  const sniffer = fakeSniffer({ log }, { outputUrl: 'no url' });
  await assert.rejects(sniffer.start(), hasCode('INVALID_CONFIG', /^outputUrl: "no url" is not a/));
  assert.throws(() => readFileSync(log), /ENOENT/);
});

test('ASnifferRunsOnce', async () => {
  const sniffer = fakeSniffer({}, { onHttpMessage: () => {} });
  await sniffer.start();
  await assert.rejects(sniffer.start(), hasCode('INVALID_STATE'));
  await sniffer.finished();
  await assert.rejects(sniffer.start(), hasCode('INVALID_STATE'));
});

test('StopDeliversEverythingThatTheEngineWrote', async () => {
  for (const format of ['ndjson', 'framed', 'packed'] as const) {
    const check = new OrderCheck();
    const sniffer = fakeSniffer(
      { endless: true },
      { format, onHttpMessage: (message) => check.take(message) },
    );
    await sniffer.start();
    await until(() => check.count > 5000, 'messages');
    const [first, second] = [sniffer.stop(), sniffer.stop()];
    await first;
    const atStop = check.count;
    const stopped = await sniffer.finished();
    assert.equal(atStop, stopped?.messages.written);
    await second;
    await sniffer.stop();
    assert.equal(sniffer.stats().callbackErrors, 0);
    assert.equal(sniffer.stats().malformed, 0);
  }
});

test('StopWhileStartingStops', async () => {
  const sniffer = fakeSniffer({ startDelayMs: 100, endless: true }, { onHttpMessage: () => {} });
  const started = sniffer.start();
  await sniffer.stop();
  await started;
  assert.equal(sniffer.isRunning(), false);
});

test('StopBeforeStartMeansNeverStarting', async () => {
  const sniffer = fakeSniffer({});
  await sniffer.stop();
  await assert.rejects(sniffer.start(), hasCode('INVALID_STATE'));
});

test('EngineEventsAreEventsByTheirNames', async () => {
  const seen: string[] = [];
  const sniffer = fakeSniffer(
    {
      events: [
        ['stats', { frames: 7 }],
        ['connection_evicted', { connectionId: '0000000000000001' }],
        ['something_new', {}],
      ],
    },
    { onHttpMessage: () => {} },
  );
  sniffer.on('event', ({ event }) => seen.push(event));
  sniffer.on('started', ({ linkType }) => seen.push(`link type ${linkType}`));
  sniffer.on('stats', (event) => seen.push(`frames ${event.frames}`));
  sniffer.on('connection_evicted', (event) => seen.push(`evicted ${event.connectionId}`));
  await sniffer.start();
  await sniffer.finished();
  assert.deepEqual(seen, [
    'started',
    'link type 1',
    'stats',
    'frames 7',
    'connection_evicted',
    'evicted 0000000000000001',
    'something_new',
    'stopped',
  ]);
});

test('IterationStartsTheSnifferAndEndsWithIt', async () => {
  const check = new OrderCheck();
  for await (const message of fakeSniffer({ exchanges: 3000 })) check.take(message);
  assert.equal(check.count, 6000);
});

test('LeavingTheLoopStopsTheEngine', async () => {
  const log = join(temporaryDir(), 'log');
  const sniffer = fakeSniffer({ endless: true, log });
  let count = 0;
  for await (const _message of sniffer) {
    count += 1;
    if (count === 10) break;
  }
  await sniffer.finished();
  assert.equal(count, 10);
  assert.match(readFileSync(log, 'utf8'), /stopped/);
});

test('StopInsideTheLoopDoesNotWaitForTheLoop', async () => {
  const sniffer = fakeSniffer({ endless: true });
  let count = 0;
  for await (const _message of sniffer) {
    count += 1;
    if (count === 10) await sniffer.stop();
  }
  const stopped = await sniffer.finished();
  assert.equal(count, stopped?.messages.written);
});
