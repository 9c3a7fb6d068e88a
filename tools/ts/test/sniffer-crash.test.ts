// Engines that crash or do not start: what is reported, and when another one is started.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { createSniffer, type SnifferError } from '../src/index.js';
import { fakeSniffer, hasCode, MemoryLogger, OrderCheck, temporaryDir } from './support.js';

test('ACrashIsReportedWithTheEnginesLastWords', async () => {
  const logger = new MemoryLogger();
  const check = new OrderCheck();
  const sniffer = fakeSniffer(
    { exchanges: 100, crashAfter: 30, cutLine: true, words: 'free(): invalid pointer' },
    { logger, onHttpMessage: (message) => check.take(message) },
  );
  const crashes: SnifferError[] = [];
  sniffer.on('crash', ({ error }) => crashes.push(error));
  await sniffer.start();
  await assert.rejects(sniffer.finished(), hasCode('ENGINE_CRASHED', /signal SIGSEGV/));
  assert.equal(check.count, 60);
  assert.equal(crashes.length, 1);
  assert.equal(crashes[0]?.signal, 'SIGSEGV');
  assert.match(crashes[0]?.lastWords ?? '', /free\(\): invalid pointer$/);
  assert.match(logger.errors.join('\n'), /free\(\): invalid pointer/);
  assert.equal(sniffer.stats().malformed, 1);
  await sniffer.stop();
});

test('AnExitStatusAfterStartHasItsCode', async () => {
  const sniffer = fakeSniffer({ crashAfter: 5, crashBy: 7 }, { onHttpMessage: () => {} });
  await sniffer.start();
  await assert.rejects(sniffer.finished(), hasCode('OUTPUT_FAILED', /exit status 7/));
});

test('ACrashedEngineIsStartedAgainWithBackOff', async () => {
  const log = join(temporaryDir(), 'log');
  const waits: (number | undefined)[] = [];
  let count = 0;
  const sniffer = fakeSniffer(
    { exchanges: 100, crashAfter: 10, log },
    {
      restart: { maxRestarts: 3, initialDelayMs: 10, maxDelayMs: 25 },
      onHttpMessage: () => {
        count += 1;
      },
    },
  );
  sniffer.on('crash', ({ restartInMs }) => waits.push(restartInMs));
  await sniffer.start();
  await assert.rejects(sniffer.finished(), hasCode('ENGINE_CRASHED'));
  assert.deepEqual(waits, [10, 20, 25, undefined]);
  assert.equal(count, 4 * 20);
  assert.equal(sniffer.stats().restarts, 3);
  assert.equal(readFileSync(log, 'utf8').match(/^started$/gm)?.length, 4);
});

test('StopEndsTheWaitForARestart', async () => {
  const sniffer = fakeSniffer(
    { crashAfter: 1 },
    { restart: { initialDelayMs: 60_000 }, onHttpMessage: () => {} },
  );
  const crashed = new Promise((resolve) => sniffer.once('crash', resolve));
  await sniffer.start();
  await crashed;
  await sniffer.stop();
  assert.equal(sniffer.isRunning(), false);
});

test('ACrashIsThrownIntoTheLoopAfterTheLastMessage', async () => {
  let count = 0;
  await assert.rejects(async () => {
    for await (const _message of fakeSniffer({ crashAfter: 5 })) count += 1;
  }, hasCode('ENGINE_CRASHED'));
  assert.equal(count, 10);
});

test('AStartThatFailsIsThrownIntoTheLoop', async () => {
  await assert.rejects(async () => {
    for await (const _message of createSniffer({ outputUrl: 'no url' })) assert.fail('a message');
  }, hasCode('INVALID_CONFIG'));
});
