// What every sender does, against receivers that enforce their protocols' rules.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { DeadLetters } from '../src/send/dead-letters.js';
import { retryAfterMs } from '../src/send/post.js';
import { Sender } from '../src/send/sender.js';
import { LinesReceiver } from './receivers.js';
import { lineOf, quick, setup, toLines } from './senders.js';
import { MemoryLogger, temporaryDir, until } from './support.js';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (error) => unhandled.push(error));
after(() => assert.deepEqual(unhandled, []));

test('LinesArriveInOrderInCompressedBatches', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 10 });
  for (let i = 0; i < 95; i += 1) sender.write(lineOf(i));
  assert.deepEqual(await finish(), []);
  assert.deepEqual(
    receiver.lines,
    Array.from({ length: 95 }, (_, i) => lineOf(i).text),
  );
  assert.equal(receiver.taken.length, 10);
  assert.equal(sender.stats.delivered, 95);
});

test('ABatchIsNotLargerThanItsBytesUnlessOneItemIs', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchBytes: 100 });
  for (const size of [40, 40, 40, 300, 10]) sender.write({ text: `"${'x'.repeat(size - 2)}"` });
  await finish();
  assert.deepEqual(
    receiver.taken.map(({ text }) => text.length),
    [82, 41, 301, 11],
  );
});

test('APartOfABatchLeavesAfterItsWait', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchWaitMs: 10 });
  sender.write(lineOf(0));
  await until(() => sender.stats.delivered === 1, 'the first');
  sender.write(lineOf(1));
  await until(() => sender.stats.delivered === 2, 'the second');
  await finish();
  assert.equal(receiver.taken.length, 2);
});

test('WhatTheProtocolsCallTemporaryIsSentAgainAndNothingElse', async () => {
  for (const status of [429, 502, 503, 504]) {
    const receiver = new LinesReceiver([{ status }, { status }, { status, cut: true }]);
    const { sender, finish } = await setup(receiver, toLines);
    sender.write(lineOf(0));
    assert.deepEqual(await finish(), []);
    assert.equal(sender.stats.retries, 3);
    assert.deepEqual(receiver.lines, ['{"n":0}']);
  }
  for (const status of [301, 400, 401, 403, 404, 408, 413, 500, 501]) {
    const receiver = new LinesReceiver([{ status, body: 'the reason\n\u001b[31m' }]);
    const { sender, finish, logger } = await setup(receiver, toLines);
    sender.write(lineOf(0));
    const letters = await finish();
    assert.equal(receiver.taken.length, 1, String(status));
    assert.deepEqual(
      letters.map(({ item, reason }) => [item, reason]),
      [[{ n: 0 }, `the receiver answered ${status} the reason [31m`]],
    );
    assert.deepEqual([sender.stats.rejected, sender.stats.lost], [1, 0]);
    assert.match(logger.errors[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+\/in: 1 not delivered: the/);
  }
});

test('TheWaitsDoubleAndRetryAfterBeatsThem', async () => {
  const busy = { status: 503 };
  const receiver = new LinesReceiver([
    busy,
    busy,
    busy,
    { status: 429, headers: { 'retry-after': '1' } },
  ]);
  const { sender, finish } = await setup(receiver, toLines, {
    firstDelayMs: 40,
    maxDelayMs: 100,
    giveUpMs: 10_000,
  });
  sender.write(lineOf(0));
  await finish();
  const times = receiver.taken.map(({ at }) => at);
  const waits = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  [20, 40, 50, 1000].forEach((least, i) => {
    assert.ok((waits[i] ?? 0) >= least - 2, `${i}: ${waits[i]} ms`);
  });
  assert.equal(waits.length, 4);
});

test('RetryAfterIsSecondsOrADate', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfterMs({ 'retry-after': '120' }, now), 120_000);
  assert.equal(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2026 00:00:05 GMT' }, now), 5000);
  assert.equal(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2025 00:00:05 GMT' }, now), 0);
  assert.equal(retryAfterMs({ 'retry-after': 'soon' }, now), undefined);
  assert.equal(retryAfterMs({}, now), undefined);
});

test('AReceiverThatStaysAwayIsGivenUpAndDoesNotHoldUpTheRest', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 1, giveUpMs: 100 });
  receiver.close();
  for (let i = 0; i < 100; i += 1) sender.write(lineOf(i));
  const letters = await finish();
  assert.equal(letters.length, 100);
  assert.match(String(letters[0]?.reason), /^given up after \d+ attempts: .*ECONNREFUSED/);
  for (const { reason } of letters.slice(1)) {
    assert.match(String(reason), /^given up after 1 attempts: /, 'no pause for the rest');
  }
  assert.deepEqual(
    letters.map(({ item }) => (item as { n: number }).n),
    Array.from({ length: 100 }, (_, i) => i),
  );
});

test('AfterALongRetryAfterNothingIsSentUntilThen', async () => {
  const receiver = new LinesReceiver([{ status: 503, headers: { 'retry-after': '3600' } }]);
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 1 });
  for (let i = 0; i < 10; i += 1) sender.write(lineOf(i));
  assert.equal((await finish()).length, 10);
  assert.equal(receiver.taken.length, 1);
});

test('ABatchThatIsTooLargeIsSentInHalves', async () => {
  const receiver = new LinesReceiver([{ status: 413 }, { status: 413 }]);
  const { sender, finish } = await setup(receiver, toLines);
  for (let i = 0; i < 8; i += 1) sender.write(lineOf(i));
  assert.deepEqual(await finish(), []);
  assert.deepEqual(
    receiver.taken.map(({ text }) => text.trimEnd().split('\n').length),
    [8, 4, 2, 2, 4],
  );
  assert.equal(receiver.lines.length, 8);
});

test('ABatchThatWasTooLargeMakesTheNextOnesSmaller', async () => {
  const receiver = new LinesReceiver();
  receiver.bytesMax = 100;
  const { sender, finish } = await setup(receiver, toLines);
  for (let i = 0; i < 500; i += 1) {
    sender.write(lineOf(i));
    if (i === 99) await until(() => sender.stats.delivered === 100, 'the first batch');
  }
  assert.deepEqual(await finish(), []);
  assert.equal(receiver.lines.length, 500);
  const tooLarge = receiver.taken.map(({ text }) => text.length > receiver.bytesMax);
  assert.equal(tooLarge.indexOf(false), 4, 'the first batch is halved until it fits');
  assert.equal(tooLarge.slice(-20).includes(true), false);
});

test('AFullQueueMakesItsWriterWait', async () => {
  const receiver = new LinesReceiver();
  const { sender, finish } = await setup(receiver, toLines, { queueBytes: 2000, batchItems: 5 });
  let most = 0;
  for (let i = 0; i < 500; i += 1) {
    const wait = sender.write(lineOf(i));
    most = Math.max(most, sender.stats.queued);
    if (wait !== undefined) await wait;
  }
  await finish();
  assert.ok(most < 20, `${most} in the queue`);
  assert.equal(receiver.lines.length, 500);
});

test('AnAbortMakesDeadLettersOfWhatIsLeft', async () => {
  const receiver = new LinesReceiver(Array(1000).fill({ status: 503 }));
  const { sender, finish } = await setup(receiver, toLines, {
    giveUpMs: 60_000,
    maxDelayMs: 60_000,
  });
  for (let i = 0; i < 10; i += 1) sender.write(lineOf(i));
  await until(() => receiver.taken.length > 1, 'an attempt');
  sender.abort();
  assert.equal((await finish()).length, 10);
});

test('InAHurryAPauseEndsAndTheRestIsGivenUpInTime', async () => {
  const busy = { status: 503 };
  const receiver = new LinesReceiver([busy, ...Array(10).fill(busy)]);
  const { sender, finish } = await setup(receiver, toLines, {
    firstDelayMs: 60_000,
    maxDelayMs: 60_000,
    giveUpMs: 600_000,
  });
  sender.write(lineOf(0));
  await until(() => sender.stats.retries === 1, 'a pause');
  sender.hurry(20_000);
  await until(() => receiver.taken.length === 2, 'the attempt after the pause');
  // The next pause would be too long.
  assert.equal((await finish()).length, 1);
});

test('WithoutAFileWhatIsRejectedIsCountedAsLost', async () => {
  const receiver = new LinesReceiver([{ status: 400 }]);
  const sender = new Sender(toLines(await receiver.listen()), new MemoryLogger(), undefined, quick);
  sender.write(lineOf(0));
  await sender.end();
  receiver.close();
  assert.deepEqual([sender.stats.rejected, sender.stats.lost], [1, 1]);
});

test('DeadLettersThatCannotBeWrittenAreCountedAsLost', async () => {
  if (!existsSync('/dev/full')) return;
  const receiver = new LinesReceiver([{ status: 400 }]);
  const logger = new MemoryLogger();
  const letters = new DeadLetters('/dev/full');
  const sender = new Sender(toLines(await receiver.listen()), logger, letters, quick);
  sender.write(lineOf(0));
  await sender.end();
  receiver.close();
  assert.deepEqual([sender.stats.rejected, sender.stats.lost], [1, 1]);
  assert.match(logger.errors[1] ?? '', /^dead letters: ENOSPC/);
});

test('ADeadLetterFileThatStaysEmptyIsRemovedAnOldOneIsKept', () => {
  const path = join(temporaryDir(), 'dead.ndjson');
  new DeadLetters(path).close();
  assert.ok(!existsSync(path));
  writeFileSync(path, '');
  new DeadLetters(path).close();
  assert.ok(existsSync(path), 'it was not made here');
  writeFileSync(path, 'old\n');
  const letters = new DeadLetters(path);
  letters.write('x', [{ item: { text: 'no JSON' }, reason: 'because' }]);
  letters.close();
  const [old, line] = readFileSync(path, 'utf8').split('\n');
  assert.equal(old, 'old');
  assert.equal(JSON.parse(line ?? '').item, 'no JSON');
});
