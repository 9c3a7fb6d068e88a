import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import test from 'node:test';
import { checkConfig } from '../src/config.js';
import { Message } from '../src/index.js';
import { UrlOutput } from '../src/output-url.js';
import { fakeSniffer, MemoryLogger, until } from './support.js';

interface Received {
  body: string;
  headers: IncomingMessage['headers'];
  port: number | undefined;
}

/** A collector that answers with the given statuses in turn, then with 204. */
class Collector {
  readonly received: Received[] = [];
  readonly statuses: number[];
  readonly #server: Server;

  constructor(statuses: number[] = []) {
    this.statuses = statuses;
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (text) => {
        body += text;
      });
      request.on('end', () => {
        this.received.push({ body, headers: request.headers, port: request.socket.remotePort });
        response.statusCode = this.statuses.shift() ?? 204;
        response.end();
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/in`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function urlOptions(url: string, options: object = {}) {
  const checked = checkConfig({ ports: [80], outputUrl: { url, ...options } }, {}).url;
  assert.ok(checked !== undefined);
  return checked;
}

function message(path: string): Message {
  return new Message(Buffer.from(`{"path":"${path}","headers":{}}`));
}

test('EachMessageIsPostedOverOneKeptConnection', async () => {
  const collector = new Collector();
  const outputUrl = await collector.listen();
  process.env.OUTPUT_URL_AUTH_TOKEN = 'secret';
  const sniffer = fakeSniffer({ exchanges: 20, connections: 1 }, { outputUrl });
  await sniffer.start();
  await sniffer.finished();
  delete process.env.OUTPUT_URL_AUTH_TOKEN;
  collector.close();
  assert.equal(collector.received.length, 40);
  assert.equal(new Set(collector.received.map(({ port }) => port)).size, 1);
  const first = collector.received[0];
  assert.equal(first?.headers.authorization, 'Bearer secret');
  assert.equal(first?.headers['content-type'], 'application/json');
  const paths = collector.received.map(({ body }) => JSON.parse(body).path).filter(Boolean);
  assert.deepEqual(
    paths,
    Array.from({ length: 20 }, (_, i) => `/0/${i}`),
  );
  assert.deepEqual(sniffer.stats().outputUrl, { sent: 40, dropped: 0, retries: 0, queued: 0 });
});

test('BatchesAreLinesOfMessages', async () => {
  const collector = new Collector();
  const url = await collector.listen();
  const sniffer = fakeSniffer(
    { exchanges: 25 },
    { format: 'framed', outputUrl: { url, batchMessages: 20, headers: { 'x-source': 'test' } } },
  );
  await sniffer.start();
  await sniffer.finished();
  collector.close();
  const sizes = collector.received.map(({ body }) => body.trimEnd().split('\n').length);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    50,
  );
  assert.equal(Math.max(...sizes), 20);
  assert.equal(collector.received[0]?.headers['content-type'], 'application/x-ndjson');
  assert.equal(collector.received[0]?.headers['x-source'], 'test');
  const lines = collector.received.flatMap(({ body }) => body.trimEnd().split('\n'));
  assert.equal(JSON.parse(lines[1] ?? '').body, 'x'.repeat(16));
});

test('APartOfABatchIsSentAfterItsWait', async () => {
  const collector = new Collector();
  const url = await collector.listen();
  const output = new UrlOutput(
    urlOptions(url, { batchMessages: 100, batchWaitMs: 20 }),
    new MemoryLogger(),
    undefined,
  );
  output.write(message('/a'));
  output.write(message('/b'));
  await until(() => collector.received.length > 0, 'a part of the batch');
  assert.equal(collector.received.length, 1);
  assert.equal(collector.received[0]?.body.split('\n').length, 3);
  await output.end();
  collector.close();
});

test('AFailedPostIsTriedAgainAndThenDroppedAndCounted', async () => {
  const collector = new Collector([500, 503, 204, 500, 500, 500, 500]);
  const logger = new MemoryLogger();
  const output = new UrlOutput(urlOptions(await collector.listen()), logger, undefined, [1, 2, 4]);
  const begin = performance.now();
  for (const path of ['/a', '/b', '/c']) output.write(message(path));
  await until(() => output.stats.queued === 0, 'the end of the attempts');
  assert.ok(performance.now() - begin >= 1 + 2 + 1 + 2 + 4);
  await output.end();
  collector.close();
  assert.deepEqual(
    collector.received.map(({ body }) => JSON.parse(body).path),
    ['/a', '/a', '/a', '/b', '/b', '/b', '/b', '/c'],
  );
  assert.deepEqual(output.stats, { sent: 2, dropped: 1, retries: 5, queued: 0 });
  assert.match(logger.errors[0] ?? '', /1 messages dropped after 3 retries.*answered 500/);
});

test('TheRetriesWaitOneTwoAndFourSeconds', async () => {
  const collector = new Collector([500, 500, 500]);
  const output = new UrlOutput(urlOptions(await collector.listen()), new MemoryLogger(), undefined);
  const begin = performance.now();
  output.write(message('/a'));
  await output.end();
  const seconds = (performance.now() - begin) / 1000;
  collector.close();
  assert.ok(seconds >= 6.9 && seconds < 9, `it took ${seconds} s`);
  assert.equal(output.stats.sent, 1);
});

test('ACollectorThatIsAwayDoesNotHoldUpAStop', async () => {
  const collector = new Collector();
  const url = await collector.listen();
  collector.close();
  const output = new UrlOutput(urlOptions(url), new MemoryLogger(), undefined, [1, 2, 4]);
  for (let i = 0; i < 1000; i += 1) output.write(message(`/${i}`));
  const begin = performance.now();
  await output.end();
  assert.ok(performance.now() - begin < 1000);
  assert.equal(output.stats.dropped, 1000);
  assert.equal(output.stats.queued, 0);
});

test('ACollectorThatDoesNotAnswerIsGivenUp', async () => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const logger = new MemoryLogger();
  const output = new UrlOutput(urlOptions(url, { timeoutMs: 20 }), logger, undefined, [1]);
  output.write(message('/a'));
  await output.end();
  server.close();
  server.closeAllConnections();
  assert.equal(output.stats.dropped, 1);
  assert.match(logger.errors[0] ?? '', /no answer within 20 ms/);
});

test('ACollectorThatSwitchesToAnotherProtocolIsGivenUp', async () => {
  const server = createServer((request) => {
    request.socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const logger = new MemoryLogger();
  const output = new UrlOutput(urlOptions(url), logger, undefined, [1]);
  output.write(message('/a'));
  await output.end();
  server.close();
  server.closeAllConnections();
  assert.equal(output.stats.dropped, 1);
  assert.match(logger.errors[0] ?? '', /closed without an answer/);
});

test('AFullQueueMakesTheWriterWait', async () => {
  const collector = new Collector();
  const output = new UrlOutput(
    urlOptions(await collector.listen(), { queueBytes: 100 }),
    new MemoryLogger(),
    undefined,
  );
  assert.equal(output.write(message('/a')), undefined);
  assert.equal(output.write(message('/b')), undefined);
  let wait: Promise<void> | undefined;
  while (wait === undefined) wait = output.write(message('/c'));
  assert.ok(output.stats.queued <= 5);
  await wait;
  assert.ok(output.stats.sent >= 1);
  await output.end();
  collector.close();
});

test('OutputStdoutWritesWholeLinesInBothForms', async () => {
  for (const format of ['ndjson', 'framed'] as const) {
    const stream = new PassThrough();
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => {
      pieces.push(piece);
      assert.equal(piece.at(-1), 0x0a);
    });
    const sniffer = fakeSniffer({ exchanges: 5000 }, { format, outputStdout: stream });
    await sniffer.start();
    await sniffer.finished();
    const lines = Buffer.concat(pieces).toString().trimEnd().split('\n');
    assert.equal(lines.length, 10_000);
    for (const line of lines) assert.ok(JSON.parse(line).direction);
  }
});

test('ASlowStreamIsWaitedFor', async () => {
  let written = 0;
  let inWork = 0;
  const stream = new Writable({
    highWaterMark: 65_536,
    write(chunk: Buffer, _encoding, done) {
      inWork += 1;
      assert.equal(inWork, 1);
      written += chunk.length;
      setTimeout(() => {
        inWork -= 1;
        done();
      }, 1);
    },
  });
  const sniffer = fakeSniffer({ exchanges: 20_000 }, { outputStdout: stream });
  await sniffer.start();
  await sniffer.finished();
  assert.equal(stream.writableLength, 0);
  assert.equal(written, sniffer.stats().bytes + sniffer.stats().messages);
});

test('AStreamWhoseReaderLeavesStopsTheSniffer', async () => {
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('gone'), { code: 'EPIPE' }));
    },
  });
  const logger = new MemoryLogger();
  const sniffer = fakeSniffer({ endless: true }, { logger, outputStdout: stream });
  await sniffer.start();
  await sniffer.finished();
  assert.deepEqual(logger.errors, []);
});
