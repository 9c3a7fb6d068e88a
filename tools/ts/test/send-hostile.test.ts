// Receivers that hang, lie or answer nonsense harm nobody but themselves.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { DeadLetters } from '../src/send/dead-letters.js';
import type { Protocol } from '../src/send/protocol.js';
import { LinesReceiver, Receiver } from './receivers.js';
import { lineOf, setup, toElastic, toLines, toTraces } from './senders.js';
import { temporaryDir, until } from './support.js';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (error) => unhandled.push(error));
after(() => assert.deepEqual(unhandled, []));

/** Values that are no text and no number, and cannot become one. */
const noValue = '{"toString":1,"valueOf":1}';

test('AnAnswerMayHaveAnythingWhereATextOrANumberBelongs', async () => {
  const answers: [(url: string) => Protocol, string][] = [
    [toTraces, `{"partialSuccess":{"rejectedSpans":"1","errorMessage":${noValue}}}`],
    [toTraces, `{"partialSuccess":{"rejectedSpans":${noValue}}}`],
    [toTraces, '{"partialSuccess":[[]]}'],
    [toElastic, `{"errors":true,"items":[{"create":{"status":${noValue}}}]}`],
    [toElastic, `{"errors":true,"items":[{"create":{"status":400,"error":{"type":${noValue}}}}]}`],
    [toElastic, `{"errors":true,"items":[{"create":{"status":400,"error":null}}]}`],
    [toElastic, `{"errors":${noValue},"items":[${noValue}]}`],
  ];
  for (const [toReceiver, body] of answers) {
    const receiver = new Receiver(() => ({ status: 200, body }));
    const { sender, finish } = await setup(receiver, toReceiver);
    sender.write({ text: '{}' });
    await finish();
    const { delivered, rejected, requests } = sender.stats;
    assert.deepEqual([delivered + rejected, requests], [1, 1], body);
  }
});

test('WhatAReceiverSaysIsSafeToShow', async () => {
  const hostile = '\\u001b[2J\\u202e\\nx';
  const answers: [(url: string) => Protocol, string][] = [
    [toTraces, `{"partialSuccess":{"errorMessage":"${hostile}"}}`],
    [
      toElastic,
      `{"errors":true,"items":[{"create":{"status":400,"error":{"reason":"${hostile}"}}}]}`,
    ],
  ];
  for (const [toReceiver, body] of answers) {
    const receiver = new Receiver(() => ({ status: 200, body }));
    const { sender, finish, logger } = await setup(receiver, toReceiver);
    sender.write({ text: '{}' });
    await finish();
    const [text = ''] = [...logger.errors, ...logger.warnings];
    assert.match(text, /\\x1b\[2J\\u\{202e\}\\nx$/);
  }
});

test('AReceiverThatSwitchesToAnotherProtocolIsTriedAgain', async () => {
  const raw = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
  const receiver = new LinesReceiver([{ status: 101, raw }]);
  const { sender, finish } = await setup(receiver, toLines);
  sender.write(lineOf(0));
  assert.deepEqual(await finish(), []);
  assert.deepEqual([sender.stats.delivered, sender.stats.retries], [1, 1]);
});

test('InAHurryARequestWithoutAnAnswerIsGivenUpInTimeAndAllThatIsLeft', async () => {
  const receiver = new LinesReceiver(Array(100).fill({ status: 200, hangs: true }));
  const { sender, finish } = await setup(receiver, toLines, {
    batchItems: 1,
    timeoutMs: 600_000,
    giveUpMs: 600_000,
  });
  for (let i = 0; i < 10; i += 1) sender.write(lineOf(i));
  await until(() => receiver.taken.length === 1, 'a request');
  sender.hurry(20);
  const letters = await finish();
  assert.equal(letters.length, 10);
  assert.equal(receiver.taken.length, 1);
});

test('ARetryAfterOfYearsIsNoEnd', async () => {
  const receiver = new LinesReceiver([{ status: 503, headers: { 'retry-after': '999999999' } }]);
  const { sender, finish } = await setup(receiver, toLines, { batchItems: 1, giveUpMs: 30 });
  sender.write(lineOf(0));
  await until(() => sender.stats.rejected === 1, 'the batch that is given up');
  let written = 0;
  await until(() => {
    written += 1;
    sender.write(lineOf(written));
    return sender.stats.delivered > 0;
  }, 'one that is delivered later');
  await finish();
});

test('DeadLettersRemoveNothingThatWasThereBefore', () => {
  const directory = temporaryDir();
  const target = join(directory, 'target');
  const link = join(directory, 'link');
  writeFileSync(target, '');
  symlinkSync(target, link);
  new DeadLetters(link).close();
  assert.equal(readlinkSync(link), target);
  assert.ok(existsSync(target));
});

test('DeadLettersThatDoNotFitAreNotThereInPart', () => {
  const path = join(temporaryDir(), 'dead.ndjson');
  const module = JSON.stringify(new URL('../src/send/dead-letters.js', import.meta.url).href);
  // Of 1 KiB at most, so that the second letter is cut.
  const script = `
    const { DeadLetters } = await import(${module});
    const letters = new DeadLetters(${JSON.stringify(path)});
    const letter = (size) => ({ item: { text: JSON.stringify('x'.repeat(size)) }, reason: 'no' });
    letters.write('a', [letter(100)]);
    const { written, failure } = letters.write('b', [letter(100), letter(2000), letter(100)]);
    console.log(written, failure.code);
    letters.write('c', [letter(100)]);
    letters.close();`;
  const limited = 'trap "" XFSZ; ulimit -f 2; exec "$0" --input-type=module -e "$1"';
  const said = execFileSync('sh', ['-c', limited, process.execPath, script], { encoding: 'utf8' });
  assert.equal(said, '1 EFBIG\n');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).receiver),
    ['a', 'b', 'c'],
  );
});
