// What a sniffer gives out: to whom, in which order, and what it leaves out.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Message, Sniffer } from '../src/index.js';
import { fakeSniffer, hasCode, MemoryLogger, OrderCheck, temporaryDir, until } from './support.js';

const transports = ['socket', 'fifo', 'pipe', 'fifo-threadpool'] as const;

for (const transport of transports) {
  for (const format of ['ndjson', 'framed', 'packed'] as const) {
    test(`EveryMessageComesOnceAndInOrder (${transport}, ${format})`, async () => {
      const check = new OrderCheck();
      const plan = { exchanges: 20_000, connections: 7, bodyBytes: 200 };
      const sniffer = fakeSniffer(plan, {
        transport,
        format,
        onHttpMessage: (message) => {
          check.take(message);
          assert.equal(message.body?.length, message.bodySize);
        },
      });
      await sniffer.start();
      assert.equal(sniffer.isRunning(), true);
      const stopped = await sniffer.finished();
      assert.equal(sniffer.isRunning(), false);
      assert.equal(stopped?.deterministic, true);
      assert.equal(check.count, 40_000);
      assert.equal(sniffer.stats().callbackErrors, 0);
      assert.equal(sniffer.stats().messages, 40_000);
    });
  }
}

test('WhereNoPairOfSocketsCanBeMadeTheOutputComesThroughAPipe', async () => {
  const before = process.env.TMPDIR;
  // Too long for the name of a socket.
  const directory = join(temporaryDir(), 'x'.repeat(120));
  mkdirSync(directory);
  process.env.TMPDIR = directory;
  try {
    const check = new OrderCheck();
    const sniffer = fakeSniffer({ exchanges: 10 }, { onHttpMessage: (one) => check.take(one) });
    await sniffer.start();
    await sniffer.finished();
    assert.equal(check.count, 20);
    await assert.rejects(fakeSniffer({}, { transport: 'socket' }).start());
    assert.deepEqual(readdirSync(directory), []);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
});

test('AnExceptionInOnHttpMessageIsLoggedAndHarmsNothing', async () => {
  const logger = new MemoryLogger();
  let calls = 0;
  const sniffer = fakeSniffer(
    { exchanges: 100 },
    {
      logger,
      onHttpMessage: () => {
        calls += 1;
        if (calls % 2 === 0) throw new Error('thrown');
        return Promise.reject(new Error('rejected'));
      },
    },
  );
  await sniffer.start();
  await sniffer.finished();
  assert.equal(calls, 200);
  assert.equal(sniffer.stats().callbackErrors, 200);
  assert.equal(logger.errors.length, 10);
  assert.match(logger.errors[0] ?? '', /onHttpMessage threw: Error: rejected/);
});

test('AnExceptionInAListenerHarmsNothing', async () => {
  const logger = new MemoryLogger();
  const sniffer = fakeSniffer({ exchanges: 5 }, { logger });
  let calls = 0;
  sniffer.on('message', () => {
    calls += 1;
    throw new Error('thrown');
  });
  await sniffer.start();
  await sniffer.finished();
  assert.equal(calls, 10);
  assert.equal(sniffer.stats().callbackErrors, 10);
});

test('NoOutputIsWarnedOfOnce', async () => {
  const logger = new MemoryLogger();
  const sniffer = fakeSniffer({ exchanges: 100 }, { logger });
  await sniffer.start();
  await sniffer.finished();
  assert.equal(logger.warnings.length, 1);
  assert.match(logger.warnings[0] ?? '', /no output/);
  assert.equal(sniffer.stats().unconsumed, 200);
});

test('AListenerAttachedAfterStartMissesNothing', async () => {
  const sniffer = fakeSniffer({ exchanges: 10 });
  await sniffer.start();
  let count = 0;
  sniffer.on('message', () => {
    count += 1;
  });
  await sniffer.finished();
  assert.equal(count, 20);
});

test('AMalformedLineIsReportedAndTheNextIsRead', async () => {
  for (const nonsense of ['this is no message', '{"braces": but no JSON}', '{"no":"headers"}']) {
    const check = new OrderCheck();
    const malformed: string[] = [];
    const logger = new MemoryLogger();
    const sniffer = fakeSniffer(
      { exchanges: 50, nonsenseAfter: 20, nonsense },
      { logger, onHttpMessage: (message) => check.take(message) },
    );
    sniffer.on('malformed', (bytes) => malformed.push(bytes.toString()));
    await sniffer.start();
    await sniffer.finished();
    assert.equal(check.count, 100);
    assert.deepEqual(malformed, [nonsense]);
    assert.equal(sniffer.stats().malformed, 1);
    assert.equal(logger.warnings.length, 1);
  }
});

test('AMalformedLineIsLeftOutOfEveryIteration', async () => {
  const sniffer = fakeSniffer({
    exchanges: 50,
    nonsenseAfter: 20,
    nonsense: '{"braces": but no JSON}',
  });
  const counts = [0, 0];
  const loop = async (which: number): Promise<void> => {
    for await (const _message of sniffer) counts[which] = (counts[which] ?? 0) + 1;
  };
  await Promise.all([loop(0), loop(1)]);
  assert.deepEqual(counts, [100, 100]);
  assert.equal(sniffer.stats().malformed, 1);
  assert.equal(sniffer.stats().messages, 100);
});

test('ACorruptFrameEndsTheRunWithItsCode', async () => {
  for (const format of ['framed', 'packed'] as const) {
    const sniffer = fakeSniffer(
      { endless: true, nonsenseAfter: 20 },
      { format, onHttpMessage: () => {} },
    );
    await sniffer.start();
    await assert.rejects(sniffer.finished(), hasCode('OUTPUT_CORRUPT'));
    assert.equal(sniffer.isRunning(), false);
  }
});

test('AReusedMessageIsTheSameObjectAndWhatIsKeptIsNot', async () => {
  const seen = new Set<Message>();
  const check = new OrderCheck();
  const sniffer = fakeSniffer(
    { exchanges: 3000 },
    {
      format: 'packed',
      reuse: true,
      onHttpMessage: (message) => {
        seen.add(message);
        check.take(message);
      },
    },
  );
  const kept: Message[] = [];
  for await (const message of sniffer) kept.push(message);
  assert.equal(seen.size, 1);
  assert.equal(check.count, 6000);
  const again = new OrderCheck();
  for (const message of kept) again.take(message);
  assert.equal(again.count, 6000);
});

test('WithReuseTheMemoryIsReadIntoAgainAfterTheHandler', async () => {
  // Small ones lie within a read, others across two, and the largest across several.
  for (const bodyBytes of [10, 40_000, 3_000_000]) {
    for (const transport of transports) {
      const check = new OrderCheck();
      const memory = new Set<ArrayBufferLike>();
      const sniffer = fakeSniffer(
        { exchanges: Math.min(3000, Math.ceil(20_000_000 / (bodyBytes + 600))), bodyBytes },
        {
          format: 'packed',
          transport,
          maxBodySize: bodyBytes,
          reuse: true,
          onHttpMessage: async (message) => {
            check.take(message);
            const body = message.bodyBuffer;
            if (transport !== 'pipe' && body.length > 0 && body.length < 100_000) {
              memory.add(body.buffer);
            }
            const { exchange, connectionId } = message;
            if (check.count % 10 === 0) await delay(0);
            assert.deepEqual([message.exchange, message.connectionId], [exchange, connectionId]);
            assert.ok(body.every((byte) => byte === 0x78));
            assert.equal(body.length, message.bodySize);
          },
        },
      );
      await sniffer.start();
      await sniffer.finished();
      assert.equal(sniffer.stats().callbackErrors, 0);
      assert.ok(check.count > 10);
      // Two slabs, and what lay across them.
      if (bodyBytes === 40_000 && transport !== 'pipe')
        assert.ok(memory.size < 30, `${memory.size}`);
    }
  }
});

test('EveryOutputGetsEveryMessage', async () => {
  const counts = { callback: 0, listener: 0, first: 0, second: 0 };
  const sniffer = fakeSniffer(
    { exchanges: 3000 },
    {
      onHttpMessage: () => {
        counts.callback += 1;
      },
    },
  );
  sniffer.on('message', () => {
    counts.listener += 1;
  });
  const loop = async (name: 'first' | 'second'): Promise<void> => {
    for await (const _message of sniffer) counts[name] += 1;
  };
  await Promise.all([loop('first'), loop('second')]);
  assert.deepEqual(counts, { callback: 6000, listener: 6000, first: 6000, second: 6000 });
});

test('NothingIsGivenOutWhilePaused', async () => {
  const counts = { paused: 0, other: 0 };
  const counting = (which: keyof typeof counts): Sniffer =>
    fakeSniffer(
      { endless: true },
      {
        onHttpMessage: () => {
          counts[which] += 1;
        },
      },
    );
  const sniffer = counting('paused');
  const other = counting('other');
  await sniffer.start();
  await until(() => counts.paused > 0, 'a message');
  sniffer.pause();
  await new Promise((resolve) => setImmediate(resolve));
  const atPause = counts.paused;
  await other.start();
  await until(() => counts.other > 1000, 'messages of one that is not paused');
  assert.equal(counts.paused, atPause);
  sniffer.resume();
  await until(() => counts.paused > atPause, 'more messages');
  await Promise.all([sniffer.stop(), other.stop()]);
});

test('LazyMessagesAreNotParsedUntilRead', async () => {
  let braces = 0;
  const sniffer = fakeSniffer(
    { exchanges: 10, nonsenseAfter: 5, nonsense: '{"braces": but no JSON}' },
    {
      lazy: true,
      onHttpMessage: (message) => {
        if (message.raw.includes('but no JSON')) {
          braces += 1;
          assert.throws(() => message.direction, SyntaxError);
        }
      },
    },
  );
  await sniffer.start();
  await sniffer.finished();
  assert.equal(braces, 1);
  assert.equal(sniffer.stats().callbackErrors, 0);
  assert.equal(sniffer.stats().messages, 21);
});

test('WorkersParseAndTheirResultsKeepTheOrder', async () => {
  const module = join(temporaryDir(), 'module.mjs');
  writeFileSync(
    module,
    `let seen = 0;
     export function onHttpMessage(message) {
       seen += 1;
       if (message.path === '/0/7') throw new Error('in a worker');
       return message.direction === 'request' ? message.path : undefined;
     }
     export const onEnd = () => ({ seen });`,
  );
  for (const format of ['ndjson', 'framed', 'packed'] as const) {
    for (const specifier of [module, pathToFileURL(module)]) {
      const paths: unknown[] = [];
      let seen = 0;
      const logger = new MemoryLogger();
      const sniffer = fakeSniffer(
        { exchanges: 20_000, connections: 3 },
        { format, logger, workers: { module: specifier, count: 2 } },
      );
      sniffer.on('result', (result) => {
        if (typeof result === 'string') paths.push(result);
        else seen += (result as { seen: number }).seen;
      });
      await sniffer.start();
      await sniffer.finished();
      assert.equal(seen, 40_000);
      const expected = Array.from({ length: 20_000 }, (_, i) => `/${i % 3}/${Math.floor(i / 3)}`);
      assert.deepEqual(
        paths,
        expected.filter((path) => path !== '/0/7'),
      );
      assert.equal(sniffer.stats().callbackErrors, 1);
      assert.match(logger.errors[0] ?? '', /in a worker/);
      assert.equal(sniffer.stats().messages, 40_000);
    }
  }
});

test('AWorkerModuleThatCanNotBeLoadedEndsTheRun', async () => {
  const sniffer = fakeSniffer({ endless: true }, { workers: { module: '/nowhere/module.mjs' } });
  await sniffer.start();
  await assert.rejects(sniffer.finished(), /nowhere/);
});
