// What must not bring a process down: receivers that fail, values that are none, traffic that grows.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { after } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { checkConfig, Message, Pairer, toHar } from '../src/index.js';
import { UrlOutput } from '../src/output-url.js';
import { request, response } from './samples.js';
import { fakeSniffer, MemoryLogger, temporaryDir, until } from './support.js';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (error) => unhandled.push(error));
after(() => assert.deepEqual(unhandled, []));

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that are reachable, in and outside of the heap. */
function memoryUsed(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function urlOptions(url: string) {
  const checked = checkConfig({ ports: [80], outputUrl: { url, timeoutMs: 200 } }, {}).url;
  assert.ok(checked !== undefined);
  return checked;
}

test('ReceiversThatFailInAnyWayCostTheirMessagesOnly', async () => {
  const answers: ((socket: import('node:net').Socket) => void)[] = [
    (socket) => socket.destroy(),
    (socket) => socket.end('this is no HTTP\r\n\r\n'),
    (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'),
    (socket) => socket.end('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'),
    (socket) => socket.end('HTTP/1.1 302 Away\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n'),
    () => {},
  ];
  for (const answer of answers) {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    const logger = new MemoryLogger();
    const output = new UrlOutput(urlOptions(await listening(server)), logger, undefined, [1]);
    for (const number of [0, 1, 2]) output.write(Message.from(request(number)));
    await output.end();
    server.close();
    assert.deepEqual(output.stats, { sent: 0, dropped: 3, retries: 1, queued: 0 });
    assert.equal(logger.errors.length, 1);
  }
});

test('ATokenWithALineEndIsAnErrorAtTheStartAndNothingRuns', async () => {
  const log = join(temporaryDir(), 'log');
  process.env.OUTPUT_URL_AUTH_TOKEN = 'secret\n';
  const sniffer = fakeSniffer({ log }, { outputUrl: 'http://127.0.0.1:9/' });
  await assert.rejects(sniffer.start(), {
    code: 'INVALID_CONFIG',
    message:
      'OUTPUT_URL_AUTH_TOKEN: the value ends with a line end; allowed: printable characters of Latin-1',
  });
  delete process.env.OUTPUT_URL_AUTH_TOKEN;
  assert.ok(!existsSync(log));
});

test('AHeaderThatCannotBeSentDropsTheMessagesAndNothingElse', async () => {
  const logger = new MemoryLogger();
  const output = new UrlOutput(urlOptions('http://127.0.0.1:9/'), logger, 'secret\n', [1]);
  output.write(Message.from(request(0)));
  await output.end();
  assert.equal(output.stats.dropped, 1);
  assert.ok(!(logger.errors[0] ?? 'secret').includes('secret'));
});

test('AFrameThatIsNoMessageIsMalformedAlsoForOutputs', async () => {
  const nonsense = Buffer.concat([Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{"no": 1}')]);
  let lines = 0;
  const server = createServer((incoming, answer) => {
    incoming.resume().on('end', () => {
      lines += 1;
      answer.end();
    });
  });
  const outputUrl = await listening(server);
  for (const lazy of [false, true]) {
    lines = 0;
    // The fake engine ends nonsense with a line end, which then begins the next frame: none follows.
    const plan = { exchanges: 5, nonsenseAfter: 5, nonsense: nonsense.toString('latin1') };
    const sniffer = fakeSniffer(plan, { format: 'framed', lazy, outputUrl });
    await sniffer.start();
    await sniffer.finished();
    assert.equal(lines, 10);
    assert.equal(sniffer.stats().malformed, 2);
  }
  server.close();
});

test('ListenersLoggersAndStreamsThatThrowHarmNothing', async () => {
  const broken = new Writable({
    write() {
      throw new Error('thrown by a stream');
    },
  });
  const logger = {
    warn: () => {
      throw new Error('thrown by a logger');
    },
    error: () => {
      throw new Error('thrown by a logger');
    },
  };
  const sniffer = fakeSniffer({ exchanges: 5 }, { logger });
  sniffer.on('message', async () => {
    throw new Error('rejected by a listener');
  });
  await sniffer.start();
  await sniffer.finished();
  await until(() => sniffer.stats().callbackErrors === 10, 'the rejections');

  const writing = fakeSniffer({ exchanges: 5 }, { logger, outputStdout: broken });
  await writing.start();
  await writing.finished();
});

test('InterimResponsesWithoutEndCostLittleMemory', () => {
  const pairer = new Pairer<Message>();
  pairer.add(Message.from(request(0)));
  const before = memoryUsed();
  // 25 bytes each on the wire: 2.7 MB of traffic.
  for (let i = 0; i < 110_000; i += 1) {
    const interim = Message.from(response(0, { statusCode: 100, headers: {}, body: '' }));
    interim.parse();
    pairer.add(interim);
  }
  const used = memoryUsed() - before;
  assert.ok(used < 5e6, `${used} bytes`);
  const [exchange] = pairer.add(Message.from(response(0)));
  assert.equal((exchange?.interim.length ?? 0) + (exchange?.interimLeftOut ?? 0), 110_000);
});

test('RequestsThatWaitWithInterimResponsesCostWhatTheOptionSays', () => {
  const pairer = new Pairer<Message>({ pendingBytesMax: 20_000_000 });
  const before = memoryUsed();
  let given = 0;
  for (let i = 0; i < 20_000; i += 1) {
    const connectionId = i.toString(16).padStart(16, '0');
    const parts = [request(0, { connectionId }), response(0, { connectionId, statusCode: 103 })];
    for (const part of parts) {
      const message = Message.from(part);
      message.parse();
      given += pairer.add(message).length;
    }
  }
  const used = memoryUsed() - before;
  assert.ok(used < 40e6, `${used} bytes`);
  assert.equal(given + pairer.pending, 20_000);
});

/** Exchanges whose responses have a body that gzip made small. */
function bombs(count: number, bytes: number) {
  const coded = gzipSync(Buffer.alloc(bytes, 'x'));
  const { body: _body, ...fields } = response(0, {
    headers: { 'content-encoding': 'gzip', 'content-type': 'text/plain' },
    bodyEncoding: 'binary',
    bodySize: coded.length,
  });
  return Array.from({ length: count }, (_, exchange) => [
    Message.from(request(exchange)),
    new Message(Buffer.from(JSON.stringify({ ...fields, exchange })), coded),
  ]).flat();
}

test('SmallBodiesThatBecomeLargeDoNotFillTheMemoryWithAHar', () => {
  const messages = bombs(12, 58_000_000);
  assert.ok(messages[1] && messages[1].bodyBuffer.length < 60_000);
  const before = memoryUsed();
  const { log } = toHar(messages);
  const used = memoryUsed() - before;
  assert.ok(used < 20e6, `${used} bytes`);
  for (const { response: answer } of log.entries) {
    // As it came, because decoded it would be too large.
    assert.equal(answer.content.encoding, 'base64');
    assert.equal(answer.content.size, answer.bodySize);
  }
});

test('TheBodiesOfAHarAreBoundedInAllAndThoseLeftOutAreCounted', () => {
  const before = memoryUsed();
  const { log } = toHar(bombs(30, 10_000_000));
  const used = memoryUsed() - before;
  assert.ok(used < 100e6, `${used} bytes`);
  const texts = log.entries.map(({ response: answer }) => answer.content.text?.length ?? 0);
  assert.equal(texts.filter((size) => size === 10_000_000).length, 6);
  // For the coded form of the others there is room.
  assert.equal(texts.filter((size) => size === 0).length, 0);
  const few = toHar([request(0), response(0), request(1), response(1)], { bodyBytesMax: 15 }).log;
  assert.match(few.entries[1]?.response.content.comment ?? '', /^the body is left out/);
  assert.equal(few.entries[1]?.response.content.text, undefined);
  assert.equal(few.comment, '1 bodies are left out because there was no room for them');
});
