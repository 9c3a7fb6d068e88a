// The package with the real engine; without one these tests are skipped, and say so.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { createSniffer, Message, pair, SnifferError } from '../src/index.js';
import { makeCapture } from './make-capture.js';
import {
  isAlive,
  MemoryLogger,
  packageDir,
  pcapsDir,
  realEngine,
  temporaryDir,
  until,
} from './support.js';

const options = { skip: realEngine === undefined && 'no engine' };
const captures = existsSync(pcapsDir)
  ? readdirSync(pcapsDir).filter((name) => /\.pcap(ng)?$/.test(name))
  : [];
const site = join(pcapsDir, 'site_and_api.pcap');

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SnifferError && error.code === code;
}

async function all(config: object): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of createSniffer(config)) messages.push(message.detach());
  return messages;
}

const expectedLines = captures.filter((name) =>
  existsSync(join(pcapsDir, `${name}.expected.ndjson`)),
);
const withExpected = {
  skip: options.skip || (expectedLines.length === 0 && 'no expected lines beside the captures'),
};

test('TheBundledCapturesGiveTheirExpectedLines', withExpected, async () => {
  for (const name of expectedLines) {
    const expected = readFileSync(join(pcapsDir, `${name}.expected.ndjson`), 'utf8');
    const protocols = name.startsWith('pop3') ? ['http', 'pop3'] : ['http'];
    const messages = await all({ files: [join(pcapsDir, name)], protocols });
    const lines = messages.map(({ raw }) => raw.toString());
    assert.deepEqual(lines.sort(), expected.trimEnd().split('\n').sort(), name);
  }
});

test('TheFramedFormSaysTheSameAsLinesDo', options, async () => {
  // All captures as one stream; without shards the order is the same every time.
  const config = { files: captures.map((name) => join(pcapsDir, name)), shards: 0 };
  const lines = await all({ ...config, format: 'ndjson', binaryBody: 'base64' });
  assert.ok(lines.length > 200);
  for (const transport of ['socket', 'fifo', 'pipe', 'fifo-threadpool']) {
    const framed = await all({ ...config, format: 'framed', transport });
    assert.equal(framed.length, lines.length);
    framed.forEach((message, i) => {
      assert.deepEqual(message.toJSON(), lines[i]?.toJSON());
    });
  }
});

test('PackedRecordsSayTheSameAsLinesDo', options, async () => {
  const files = captures.map((name) => join(pcapsDir, name));
  const variants = [
    {},
    { binaryBody: 'base64', fields: 'extended', rawHeaders: true, trustedProxies: 1 },
    { decodeBodies: true, maxBodySize: 1000, redactHeaders: ['host'], redactQuery: ['q'] },
    { maxBodySize: 0 },
  ];
  for (const variant of variants) {
    const config = { files, protocols: ['http', 'pop3'], shards: 0, ...variant };
    const lines = await all({ ...config, format: 'ndjson' });
    const packed = await all(config);
    assert.ok(lines.length > 200);
    assert.equal(packed.length, lines.length);
    packed.forEach((message, i) => {
      const line = lines[i] as Message;
      assert.deepEqual(message.toJSON(), line.toJSON());
      assert.equal(message.toLine().toString(), line.toLine().toString());
      assert.deepEqual(gettersOf(message), gettersOf(line));
    });
  }
});

/** What every getter of a message says. */
function gettersOf(message: Message): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (
    let of: object = Message.prototype;
    of !== Object.prototype;
    of = Object.getPrototypeOf(of)
  ) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(of))) {
      if (get === undefined || name === 'byteLength') continue;
      values[name] = message[name as keyof Message];
    }
  }
  return values;
}

test('TheBundledSitePairsWithoutOrphans', options, async () => {
  const exchanges = pair(await all({ files: [site] }));
  assert.equal(exchanges.length, 12);
  for (const { orphan } of exchanges) assert.equal(orphan, undefined);
});

test('TheEnginesCodesArriveAtStart', options, async () => {
  const directory = temporaryDir();
  const text = join(directory, 'text.pcap');
  writeFileSync(text, 'this is no capture\n'.repeat(10));
  const cases: [object, string][] = [
    [{ interface: 'nosuch0', ports: [80] }, 'INVALID_INTERFACE'],
    [{ interface: ['lo', 'nosuch0'], ports: [80] }, 'INVALID_INTERFACE'],
    [{ files: [join(directory, 'missing.pcap')] }, 'INPUT_FILE'],
    [{ files: [text] }, 'INPUT_FILE'],
    [{ files: [site], filter: 'tcp port port' }, 'INVALID_CONFIG'],
  ];
  for (const [config, code] of cases) {
    const sniffer = createSniffer({
      ...config,
      onHttpMessage: () => {},
      logger: new MemoryLogger(),
    });
    // What is found when the file is opened may be found after the start.
    await assert.rejects(async () => {
      await sniffer.start();
      await sniffer.finished();
    }, hasCode(code));
  }
});

const slowRunMsMax = 18_000;

test('TwoHundredThousandExchangesWithAConsumerTenTimesTooSlow', options, async (t) => {
  const directory = temporaryDir();
  const capture = join(directory, 'many.pcap');
  const exchanges = 200_000;
  makeCapture(capture, { exchanges, connections: 500, bodyBytes: 400 });
  const program = join(directory, 'program.mjs');
  writeFileSync(
    program,
    `import { createSniffer } from ${JSON.stringify(pathToFileURL(join(packageDir, 'build/src/index.js')).href)};
     const next = new Map();
     let count = 0, wrong = 0, peak = 0;
     const waitMs = Number(process.argv[2]);
     const onHttpMessage = ({ connectionId, direction, exchange, path }) => {
       const expected = next.get(connectionId) ?? 0;
       if (2 * exchange + (direction === 'request' ? 0 : 1) !== expected) wrong += 1;
       if (path !== undefined && !path.endsWith('/' + exchange)) wrong += 1;
       next.set(connectionId, expected + 1);
       count += 1;
       if (count % 1000 !== 0) return;
       peak = Math.max(peak, process.memoryUsage.rss());
       return waitMs > 0 ? new Promise((resolve) => setTimeout(resolve, waitMs)) : undefined;
     };
     const begin = performance.now();
     const sniffer = createSniffer({ files: [${JSON.stringify(capture)}], onHttpMessage });
     await sniffer.start();
     const stopped = await sniffer.finished();
     console.log(JSON.stringify({
       count, wrong, connections: next.size, ms: performance.now() - begin,
       peak: Math.max(peak, process.memoryUsage.rss()), stopped, stats: sniffer.stats(),
     }));`,
  );
  const run = async (waitMs: number) => {
    const child = spawn(process.execPath, [program, String(waitMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (piece: string) => {
      text += piece;
    });
    await new Promise((resolve) => child.once('close', resolve));
    return JSON.parse(text);
  };
  const free = await run(0);
  // Ten times what the run takes when nobody is slow; on a busy machine that is less than measured.
  const waits = (2 * exchanges) / 1000;
  const slow = await run(Math.min(9 * free.ms, slowRunMsMax) / waits);
  for (const result of [free, slow]) {
    assert.equal(result.count, 2 * exchanges);
    assert.equal(result.wrong, 0);
    assert.equal(result.connections, 500);
    assert.equal(result.stats.callbackErrors + result.stats.malformed, 0);
    assert.ok(result.peak < 150e6, `${result.peak} bytes resident`);
  }
  t.diagnostic(
    `free: ${Math.round(free.ms)} ms, ${Math.round(free.peak / 1e6)} MB; slow: ${Math.round(slow.ms)} ms, ${Math.round(slow.peak / 1e6)} MB`,
  );
});

test('StopInTheMiddleOfAFileDeliversWhatWasWritten', options, async () => {
  const capture = join(temporaryDir(), 'many.pcap');
  makeCapture(capture, { exchanges: 50_000, connections: 10, bodyBytes: 1000 });
  let count = 0;
  const sniffer = createSniffer({
    files: [capture],
    onHttpMessage: async () => {
      count += 1;
      if (count % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    },
  });
  await sniffer.start();
  await until(() => count > 500, 'messages');
  await sniffer.stop();
  const stopped = await sniffer.finished();
  assert.equal(count, stopped?.messages.written);
  assert.ok(count < 100_000);
  assert.equal(sniffer.stats().malformed, 0);
});

test('AKilledEngineIsACrash', options, async () => {
  const capture = join(temporaryDir(), 'many.pcap');
  makeCapture(capture, { exchanges: 50_000, connections: 10, bodyBytes: 1000 });
  const sniffer = createSniffer({
    files: [capture],
    logger: new MemoryLogger(),
    onHttpMessage: () => new Promise((resolve) => setImmediate(resolve)),
  });
  await sniffer.start();
  process.kill(sniffer.pid ?? 0, 'SIGKILL');
  await assert.rejects(sniffer.finished(), hasCode('ENGINE_CRASHED'));
});

/** A live sniffer on the loopback device, or why there is none. */
async function startLive(port: number, seen: Message[]) {
  const sniffer = createSniffer({
    interface: 'lo',
    ports: [port],
    onHttpMessage: (message) => seen.push(message),
  });
  try {
    await sniffer.start();
    return sniffer;
  } catch (error) {
    if (hasCode('PERMISSION_DENIED')(error) || hasCode('CAPTURE_OPEN_FAILED')(error))
      return undefined;
    throw error;
  }
}

test('LiveMessagesArriveAndStopDrains', options, async (t) => {
  const server = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const seen: Message[] = [];
  const sniffer = await startLive(port, seen);
  if (sniffer === undefined) {
    server.close();
    t.skip('capturing on lo is not allowed here');
    return;
  }
  for (let i = 0; i < 20; i += 1) {
    await new Promise<void>((resolve) => {
      get({ port, host: '127.0.0.1', path: `/${i}`, agent: false }, (response) => {
        response.on('end', resolve).resume();
      });
    });
  }
  // The kernel hands a packet over within a tick or two; what it still has is not the engine's.
  await until(() => seen.length >= 40, 'the last response');
  await sniffer.stop();
  server.close();
  const exchanges = pair(seen);
  assert.deepEqual(
    exchanges.map(({ request }) => request?.path).sort(),
    Array.from({ length: 20 }, (_, i) => `/${i}`).sort(),
  );
  for (const { response } of exchanges) assert.equal(response?.body, 'hello');
});

test('WhenTheParentIsKilledTheLiveEngineEnds', options, async (t) => {
  const program = join(temporaryDir(), 'program.mjs');
  writeFileSync(
    program,
    `import { createSniffer } from ${JSON.stringify(pathToFileURL(join(packageDir, 'build/src/index.js')).href)};
     const sniffer = createSniffer({ interface: 'lo', ports: [9], onHttpMessage: () => {} });
     try { await sniffer.start(); console.log('engine', sniffer.pid); }
     catch (error) { console.log('refused', error.code); }`,
  );
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (piece: string) => {
    text += piece;
  });
  await until(() => text.includes('\n'), 'the start');
  const pid = Number(/engine (\d+)/.exec(text)?.[1]);
  if (Number.isNaN(pid)) {
    t.skip(`capturing on lo is not allowed here: ${text.trim()}`);
    return;
  }
  child.kill('SIGKILL');
  await until(() => !isAlive(pid), 'the end of the engine');
});
