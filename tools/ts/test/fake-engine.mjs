#!/usr/bin/env node
// The engine's double for what the real one does not do on request: crash, stall, write nonsense.
// It speaks as the real one does: one line of configuration on standard input, messages on
// standard output in the configured form, events on standard error. What it does is in the
// variable FAKE_ENGINE, a JSON object; see `plan` for its keys.

import { appendFileSync, writeSync } from 'node:fs';
import { exchangeRecordOf, recordOf } from './packed-writer.mjs';

const plan = {
  exchanges: 10, // in all
  connections: 2,
  bodyBytes: 16, // of each response
  binary: false, // bodies that are not UTF-8
  endless: false, // as a live capture: until standard input ends
  holdOpen: false, // after the exchanges, wait for the end of standard input
  crashAfter: 0, // exchanges; 0 = never
  crashBy: 'SIGSEGV', // or an exit status
  cutLine: false, // crash inside a line
  nonsenseAfter: 0, // exchanges
  nonsense: 'this is no message',
  fatal: null, // { code, message, status } instead of a start
  words: '', // a line of plain text on standard error
  events: [], // after `started`
  startDelayMs: 0,
  log: '', // a file that gets a line for each thing that happens
  ...JSON.parse(process.env.FAKE_ENGINE ?? '{}'),
};

function note(what) {
  if (plan.log !== '') appendFileSync(plan.log, `${what}\n`);
}

function writeAll(fd, bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code === 'EPIPE') process.exit(0);
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

function event(name, level, message, fields = {}) {
  const timestamp = new Date().toISOString();
  writeAll(
    2,
    Buffer.from(`${JSON.stringify({ timestamp, level, event: name, message, ...fields })}\n`),
  );
}

function frame(fields) {
  const { body, ...header } = fields;
  const bytes = plan.binary ? Buffer.alloc(plan.bodyBytes, 0xff) : Buffer.from(body ?? '');
  if (body !== undefined) header.bodyEncoding = plan.binary ? 'binary' : 'utf8';
  const json = Buffer.from(JSON.stringify(header));
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(json.length, 0);
  sizes.writeUInt32LE(body === undefined ? 0 : bytes.length, 4);
  return Buffer.concat(body === undefined ? [sizes, json] : [sizes, json, bytes]);
}

let config;
let written = 0;
let stopping = false;

/** A line of `records: exchange`; framed, the bodies of both follow. */
function encodeExchange(request, response) {
  if (config.format === 'packed') {
    const about = { ...request, latencyMs: response.latencyMs, totalMs: response.latencyMs };
    return exchangeRecordOf(about, [recordOf(request), recordOf(response)]);
  }
  const { direction: _q, body: requestBody, ...ownRequest } = request;
  const { direction: _a, body: responseBody, latencyMs, ...ownResponse } = response;
  const shared = {};
  for (const key of ['timestamp', 'connectionId', 'exchange', 'receiver', 'destination']) {
    shared[key] = request[key];
    delete ownRequest[key];
    if (key !== 'timestamp') delete ownResponse[key];
  }
  const line = {
    ...shared,
    latencyMs,
    totalMs: latencyMs,
    request: ownRequest,
    response: ownResponse,
  };
  if (config.format !== 'framed') {
    ownRequest.body = requestBody;
    ownResponse.body = responseBody;
    return Buffer.from(`${JSON.stringify(line)}\n`);
  }
  const bodies = [requestBody, responseBody].map((body) => Buffer.from(body));
  [ownRequest, ownResponse].forEach((part, i) => {
    part.bodyEncoding = 'utf8';
    part.bodyBytes = bodies[i].length;
  });
  const json = Buffer.from(JSON.stringify(line));
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(json.length, 0);
  sizes.writeUInt32LE(bodies[0].length + bodies[1].length, 4);
  return Buffer.concat([sizes, json, ...bodies]);
}

function encode(fields) {
  if (config.format === 'packed') return recordOf(fields);
  return config.format === 'framed' ? frame(fields) : Buffer.from(`${JSON.stringify(fields)}\n`);
}

function exchange(number) {
  const connection = number % plan.connections;
  const index = Math.floor(number / plan.connections);
  const common = {
    receiver: { ip: '192.0.2.1', port: 80 },
    destination: { ip: '198.51.100.7', port: 40000 + (connection % 20000) },
    httpVersion: '1.1',
    timestamp: '2025-02-21T12:00:00.000000Z',
    durationMs: 0,
    connectionId: connection.toString(16).padStart(16, '0'),
    exchange: index,
  };
  const request = {
    ...common,
    direction: 'request',
    method: 'GET',
    path: `/${connection}/${index}`,
    headers: { host: 'example.test' },
    body: '',
    bodySize: 0,
  };
  const response = {
    ...common,
    direction: 'response',
    statusCode: 200,
    statusText: 'OK',
    headers: { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] },
    body: 'x'.repeat(plan.bodyBytes),
    bodySize: plan.bodyBytes,
    latencyMs: 1.5,
  };
  if (config.records === 'exchange') return encodeExchange(request, response);
  return Buffer.concat([encode(request), encode(response)]);
}

function crash() {
  if (plan.cutLine) writeAll(1, exchange(written).subarray(0, 50));
  if (plan.words !== '') writeAll(2, Buffer.from(`${plan.words}\n`));
  note('crash');
  if (typeof plan.crashBy === 'number') process.exit(plan.crashBy);
  process.kill(process.pid, plan.crashBy);
}

function finish() {
  note('stopped');
  event('stopped', 'info', 'stopped', {
    deterministic: true,
    messages: { written: written * 2 },
  });
  process.exit(0);
}

function produce() {
  const batch = [];
  for (let i = 0; i < 500 && (plan.endless || written < plan.exchanges); i += 1) {
    batch.push(exchange(written));
    written += 1;
    if (written === plan.nonsenseAfter) batch.push(Buffer.from(`${plan.nonsense}\n`));
    if (written === plan.crashAfter) {
      writeAll(1, Buffer.concat(batch));
      crash();
      return;
    }
  }
  writeAll(1, Buffer.concat(batch));
  if (stopping) finish();
  else if (plan.endless || written < plan.exchanges) setImmediate(produce);
  else if (!plan.holdOpen) finish();
}

function start() {
  if (plan.fatal !== null) {
    event('fatal', 'error', plan.fatal.message, { code: plan.fatal.code });
    process.exit(plan.fatal.status);
  }
  if (plan.words !== '' && plan.crashAfter === 0) writeAll(2, Buffer.from(`${plan.words}\n`));
  if (config.format === 'framed') writeAll(1, Buffer.from('TCPSNIF1'));
  note('started');
  event('started', 'info', 'started', {
    schemaVersion: 1,
    version: '0.0.0',
    interface: config.interface ?? 'lo',
    linkType: 1,
    ports: config.ports ?? [],
    filter: '',
    shards: 1,
  });
  for (const [name, fields] of plan.events) event(name, 'warn', name, fields);
  produce();
}

function stop() {
  stopping = true;
  if (plan.holdOpen && written >= plan.exchanges) finish();
}

let line = '';
process.stdin.on('data', (text) => {
  line += text;
  if (config !== undefined || !line.includes('\n')) return;
  config = JSON.parse(line);
  note(`config ${line.trim()}`);
  setTimeout(start, plan.startDelayMs);
});
process.stdin.on('end', stop);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    note(signal);
    stop();
  });
}
