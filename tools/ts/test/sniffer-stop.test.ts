// Stopping in odd moments, and handlers and workers that do odd things.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { createSniffer, type Sniffer } from '../src/index.js';
import { makeSocketPair } from '../src/source.js';
import { fakeEngine, fakeSniffer, hasCode, OrderCheck, temporaryDir, until } from './support.js';

test('AHandlerMayStopTheSnifferAndWaitForIt', async () => {
  const order = new OrderCheck();
  const sniffer: Sniffer = fakeSniffer(
    { endless: true },
    {
      onHttpMessage: async (message) => {
        order.take(message);
        if (order.count === 5) await sniffer.stop();
      },
    },
  );
  await sniffer.start();
  await sniffer.finished();
  assert.equal(sniffer.stats().messages, order.count);
  assert.equal(sniffer.stats().callbackErrors, 0);
});

test('ASnifferThatIsStoppedDoesNotPause', async () => {
  const order = new OrderCheck();
  const sniffer = fakeSniffer({ endless: true }, { onHttpMessage: (one) => order.take(one) });
  await sniffer.start();
  await until(() => order.count > 0, 'a message');
  const stopped = sniffer.stop();
  sniffer.pause();
  await stopped;
  assert.equal(sniffer.stats().messages, order.count);
});

test('AnEngineThatIsStoppedBeforeItKnowsItsSignalsHasNotCrashed', async () => {
  process.env.FAKE_ENGINE = JSON.stringify({ startDelayMs: 60_000 });
  const sniffer = createSniffer({
    files: ['a.pcap'],
    binaryPath: fakeEngine,
    onHttpMessage: () => {},
  });
  const started = assert.rejects(sniffer.start(), hasCode('INVALID_STATE', /stopped before/));
  await sniffer.stop();
  await started;
  assert.equal(await sniffer.finished(), undefined);
});

test('ManySniffersThatStartAtOnceAreNoLeak', async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error): unknown => warnings.push(warning);
  process.on('warning', listener);
  const before = process.listenerCount('exit');
  const pairs = await Promise.all(Array.from({ length: 12 }, () => makeSocketPair('kept')));
  for (const { source, writer } of pairs) {
    source.close();
    writer.destroy();
  }
  // Warnings come one turn later.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listener);
  assert.deepEqual(warnings, []);
  assert.equal(process.listenerCount('exit'), before);
});

test('WhatAHandlerThrowsMayBeAnything', async () => {
  const thrown = [Object.create(null), { toString: 1 }, Symbol('x'), undefined, null, 1n];
  const sniffer = fakeSniffer(
    { exchanges: 6 },
    {
      onHttpMessage: () => {
        throw thrown.pop();
      },
    },
  );
  await sniffer.start();
  await sniffer.finished();
  assert.equal(sniffer.stats().messages, 12);
  assert.equal(sniffer.stats().callbackErrors, 12);
});

test('ResultsOfAWorkerThatCannotBeClonedAreCountedAndTheOthersKept', async () => {
  const module = join(temporaryDir(), 'module.mjs');
  writeFileSync(
    module,
    `export const onHttpMessage = ({ path, direction }) =>
       direction === 'request' ? path : () => 'a function';`,
  );
  const results: unknown[] = [];
  const sniffer = fakeSniffer({ exchanges: 100 }, { format: 'packed', workers: { module } });
  sniffer.on('result', (result) => results.push(result));
  await sniffer.start();
  await sniffer.finished();
  assert.equal(results.length, 100);
  assert.equal(sniffer.stats().callbackErrors, 100);
});

test('AWorkerSaysWhyARecordIsMalformed', async () => {
  const module = join(temporaryDir(), 'module.mjs');
  writeFileSync(module, 'export const onHttpMessage = () => {};');
  const reasons: string[] = [];
  const sniffer = fakeSniffer(
    { exchanges: 2, nonsenseAfter: 1, nonsense: '\u0010\0\0\0TP\u0001\u0001\0\0\0\0\0\0\0' },
    { format: 'packed', workers: { module } },
  );
  sniffer.on('malformed', (_bytes, reason) => reasons.push(reason));
  await sniffer.start();
  await sniffer.finished();
  assert.deepEqual(reasons, ['a record without its fixed part, found in a worker']);
});
