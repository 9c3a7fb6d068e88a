// One measurement of throughput.mjs, in a process of its own: node run-one.mjs '{"way": ...}'
// Prints one line of JSON: messages, bytes of output, bytes of bodies, milliseconds,
// milliseconds of CPU of this process (all its threads, not the engine's), peak memory.

import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { resourceUsage } from 'node:process';
import { createSniffer, FrameDecoder, LineDecoder, Message, PackedDecoder } from 'tcp-sniffer';

const pieceSize = 1_048_576;
const job = JSON.parse(process.argv[2]);
const totals = { messages: 0, outputBytes: 0, bodyBytes: 0 };

let sink;

/** What every way does with a message: reads three fields and the body's size; and what the job
 * says. */
function use(message) {
  totals.messages += 1;
  const { direction, statusCode, exchange } = message;
  if (direction === 'response' && statusCode === exchange) sink = exchange;
  switch (job.touch) {
    case 'header':
      sink = message.header('content-type');
      totals.bodyBytes += message.bodySize;
      break;
    case 'json':
      sink = message.toJSON();
      totals.bodyBytes += sink.bodySize;
      break;
    case 'body':
      totals.bodyBytes += message.bodyBuffer.length;
      break;
    default:
      totals.bodyBytes += message.bodySize;
  }
}

function* piecesOf(file) {
  const fd = openSync(file, 'r');
  for (;;) {
    const piece = Buffer.allocUnsafeSlow(pieceSize);
    const size = readSync(fd, piece);
    if (size === 0) break;
    totals.outputBytes += size;
    yield piece.subarray(0, size);
  }
  closeSync(fd);
}

/** The loop that one writes first: text, split, parse. */
function plainLoop() {
  let rest = '';
  const decoder = new TextDecoder();
  for (const piece of piecesOf(job.recorded)) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) use(JSON.parse(line));
  }
}

/** The same, end to end: spawn, split, parse. */
async function naiveLoop() {
  const child = spawn(job.binary, ['--config', '-'], { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.write(`${JSON.stringify({ ...job.engine, format: job.format })}\n`);
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text) => {
    totals.outputBytes += text.length;
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) use(JSON.parse(line));
  });
  await new Promise((resolve) => child.once('close', resolve));
}

const decoders = { ndjson: LineDecoder, framed: FrameDecoder, packed: PackedDecoder };

function decoderLoop() {
  const Reader = decoders[job.format];
  const decoder = new Reader(2 ** 30, (_bytes, reason) => {
    throw new Error(reason);
  });
  for (const piece of piecesOf(job.recorded)) {
    decoder.push(piece);
    for (let message = decoder.next(); message !== null; message = decoder.next()) {
      if (job.touch === 'nothing') totals.messages += message instanceof Message ? 1 : 0;
      else use(message);
    }
  }
  decoder.end();
}

/** The engine into /dev/null: the bound of what follows. */
async function engineAlone() {
  const nowhere = openSync('/dev/null', 'w');
  const child = spawn(job.binary, ['--config', '-'], { stdio: ['pipe', nowhere, 'ignore'] });
  child.stdin.write(`${JSON.stringify({ ...job.engine, format: job.format })}\n`);
  await new Promise((resolve) => child.once('close', resolve));
}

async function sniff() {
  const sniffer = createSniffer({
    ...job.engine,
    format: job.format,
    binaryPath: job.binary,
    transport: job.transport,
    reuse: job.reuse,
    ...(job.workers === undefined
      ? { onHttpMessage: use }
      : {
          workers: { module: new URL('./worker-module.mjs', import.meta.url), count: job.workers },
        }),
  });
  sniffer.on('result', ({ messages, bodyBytes }) => {
    totals.messages += messages;
    totals.bodyBytes += bodyBytes;
  });
  await sniffer.start();
  await sniffer.finished();
  totals.outputBytes = sniffer.stats().bytes;
}

/** Everything but the messages: what the transport alone costs. */
async function readOnly() {
  const sniffer = createSniffer({
    ...job.engine,
    format: job.format,
    binaryPath: job.binary,
    transport: job.transport,
    lazy: true,
    onHttpMessage: () => {
      totals.messages += 1;
    },
  });
  await sniffer.start();
  await sniffer.finished();
  totals.outputBytes = sniffer.stats().bytes;
}

const ways = { plainLoop, naiveLoop, decoderLoop, engineAlone, sniff, readOnly };
const cpuBefore = process.cpuUsage();
const begin = performance.now();
await ways[job.way]();
const ms = performance.now() - begin;
const { user, system } = process.cpuUsage(cpuBefore);
process.stdout.write(
  `${JSON.stringify({ ...totals, ms, cpuMs: (user + system) / 1000, peakKiB: resourceUsage().maxRSS })}\n`,
);
