// Packed records say what the lines of NDJSON say, field by field, on every capture of the
// repository, of the corpus beside it, and of the folder that TCP_SNIFFER_CAPTURES names.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import type { Decoder } from '../src/decoder.js';
import { ExchangeRecord, Message, PackedDecoder } from '../src/index.js';
import { lineOf } from '../src/line-text.js';
import { PackedExchangeDecoder } from '../src/packed-decoder.js';
import { SelectedMessage } from '../src/packed-selected.js';
import { packageDir, pcapsDir, realEngine } from './support.js';

const run = promisify(execFile);
const options = { skip: realEngine === undefined && 'no engine' };
const outputMax = 2 ** 30;
const atOnce = 2;

const flags = ['-q', '--shards', '0', '--fields', 'extended', '--raw-headers'];

function captures(): string[] {
  const corpus = join(packageDir, '../../../shared/corpus');
  return [pcapsDir, corpus, process.env.TCP_SNIFFER_CAPTURES ?? '']
    .filter((folder) => folder !== '' && existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => /\.(pcap|pcapng|cap)$/.test(path));
}

/** What the engine writes, as far as it can read the capture. */
async function outputOf(capture: string, format: string, more: string[]): Promise<Buffer> {
  const args = ['-r', capture, '--format', format, ...flags, ...more];
  const how = { encoding: 'buffer', maxBuffer: outputMax } as const;
  const output = await run(realEngine as string, args, how).catch((error) => error);
  return output.stdout as Buffer;
}

function linesOf(output: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let begin = 0; begin < output.length; ) {
    const end = output.indexOf('\n', begin);
    lines.push(output.subarray(begin, end));
    begin = end + 1;
  }
  return lines;
}

function unpacked<T>(decoder: Decoder<T>, output: Buffer): T[] {
  const out: T[] = [];
  decoder.push(output);
  for (let one = decoder.next(); one !== null; one = decoder.next()) out.push(one);
  decoder.end();
  return out;
}

function noMalformed(bytes: Buffer, reason: string): never {
  assert.fail(`malformed: ${reason}: ${bytes}`);
}

function agreeOnMessage(packed: Message, line: Message): void {
  const fields = line.toJSON();
  assert.deepEqual(packed.toJSON(), fields);
  assert.equal(packed.toLine().toString(), lineOf(fields));
  for (const name of Object.keys(fields) as (keyof typeof fields)[]) {
    assert.deepEqual(packed[name], line[name], name);
  }
  for (const name of Object.keys(fields.headers ?? {})) {
    assert.equal(packed.header(name), line.header(name), name);
  }
  assert.deepEqual(packed.bodyBuffer, line.bodyBuffer);
}

const gettersOfExchange = [
  'timestamp',
  'connectionId',
  'exchange',
  'protocol',
  'latencyMs',
  'totalMs',
  'orphan',
  'orphanReason',
  'orphanCause',
] as const;

function agreeOnExchange(packed: ExchangeRecord, line: ExchangeRecord): void {
  const fields = line.toJSON();
  assert.deepEqual(packed.toJSON(), fields);
  assert.equal(packed.toLine().toString(), lineOf(fields));
  for (const name of gettersOfExchange) assert.equal(packed[name], line[name], name);
  const messagesOf = ({ request, interim, response }: ExchangeRecord) =>
    [request, ...interim, response].map((message) => message?.toJSON());
  assert.deepEqual(messagesOf(packed), messagesOf(line));
}

const selections = {
  message: [
    'timestamp,receiver.ip,direction,host,path,statusCode,headers.content-type,body,latin1,part',
    'connectionId,method,status,request.bodySize,response.headers.server,durationMs,bodyEncoding',
    'exchange,receiver,destination,headers,rawHeaders,bodySize,lastFrame,communityId,latencyMs,anomalies',
  ],
  exchange: [
    'connectionId,exchange,method,host,status,totalMs,orphan,orphanCause,request.bodySize,bodySize',
    'timestamp,request.headers,response.headers.set-cookie,body,request.body,latin1,connectMs,latencyMs',
  ],
};

/** Objects of headers have no prototype, those of a parsed line have one. */
function withoutPrototypes(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** A message of which fields were selected has the getters of a whole one. */
function agreeOnSelected(packed: Message, line: Record<string, unknown>): void {
  assert.deepEqual(withoutPrototypes(packed), line);
  if (!(packed instanceof SelectedMessage)) assert.fail('a whole message');
  const getters = packed as unknown as Record<string, unknown>;
  for (const name of Object.keys(line)) {
    if (name.includes('.') || ['host', 'latin1', 'contentType', 'status'].includes(name)) continue;
    assert.deepEqual(withoutPrototypes(getters[name]), line[name], name);
  }
  for (const name of ['timestamp', 'connectionId', 'receiver', 'bodySize', 'durationMs', 'path']) {
    const isThere = [name, `request.${name}`, `response.${name}`].some((one) => one in line);
    if (!isThere) assert.equal(getters[name], undefined, name);
  }
}

async function compareSelected(capture: string): Promise<void> {
  for (const [records, lists] of Object.entries(selections)) {
    for (const select of lists) {
      const more = ['--binary-body', 'base64', '--records', records, '--select', select];
      const lines = linesOf(await outputOf(capture, 'ndjson', more));
      const output = await outputOf(capture, 'packed', more);
      if (records === 'message') {
        const read = unpacked(new PackedDecoder(outputMax, noMalformed), output);
        assert.equal(read.length, lines.length, select);
        for (const [i, one] of read.entries()) {
          agreeOnSelected(one, JSON.parse(String(lines[i])));
        }
      } else {
        const read = unpacked(new PackedExchangeDecoder(outputMax, noMalformed), output);
        assert.equal(read.length, lines.length, select);
        for (const [i, one] of read.entries()) {
          assert.deepEqual(withoutPrototypes(one), JSON.parse(String(lines[i])), select);
        }
      }
    }
  }
}

async function compareParts(capture: string): Promise<number> {
  const more = ['--binary-body', 'base64', '--partial-after-ms', '1'];
  const lines = linesOf(await outputOf(capture, 'ndjson', more));
  const records = unpacked(
    new PackedDecoder(outputMax, noMalformed),
    await outputOf(capture, 'packed', more),
  );
  assert.equal(records.length, lines.length, capture);
  for (const [i, message] of records.entries()) {
    agreeOnMessage(message, new Message(lines[i] as Buffer));
  }
  return records.filter(({ part }) => part !== undefined).length;
}

async function compare(capture: string): Promise<{ messages: number; exchanges: number }> {
  const counts = { messages: 0, exchanges: 0 };
  for (const binaryBody of ['base64', 'omit']) {
    const bodies = ['--binary-body', binaryBody];
    const lines = linesOf(await outputOf(capture, 'ndjson', bodies));
    const records = unpacked(
      new PackedDecoder(outputMax, noMalformed),
      await outputOf(capture, 'packed', bodies),
    );
    assert.equal(records.length, lines.length, capture);
    for (const [i, message] of records.entries()) {
      agreeOnMessage(message, new Message(lines[i] as Buffer));
    }
    counts.messages += lines.length;
  }
  const more = ['--binary-body', 'base64', '--records', 'exchange'];
  const lines = linesOf(await outputOf(capture, 'ndjson', more));
  const records = unpacked(
    new PackedExchangeDecoder(outputMax, noMalformed),
    await outputOf(capture, 'packed', more),
  );
  assert.equal(records.length, lines.length, capture);
  for (const [i, one] of records.entries()) {
    agreeOnExchange(one, new ExchangeRecord(lines[i] as Buffer));
  }
  counts.exchanges += lines.length;
  return counts;
}

/** Calls `work` with every capture, few of them at once. */
async function forAll(all: string[], work: (capture: string) => Promise<void>): Promise<void> {
  const left = [...all];
  const one = async (): Promise<void> => {
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      try {
        await work(path);
      } catch (error) {
        throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

test('PackedRecordsSayWhatTheLinesSayOnEveryCapture', options, async () => {
  let messages = 0;
  let exchanges = 0;
  await forAll(captures(), async (path) => {
    const counts = await compare(path);
    messages += counts.messages;
    exchanges += counts.exchanges;
  });
  assert.ok(messages > 500 && exchanges > 100, `${messages} messages, ${exchanges} exchanges`);
});

test('SelectedFieldsAreThoseOfTheLines', options, async () => {
  await forAll(
    captures().filter((path) => path.startsWith(pcapsDir)),
    compareSelected,
  );
});

test('PartsOfMessagesAreThoseOfTheLines', options, async () => {
  let parts = 0;
  await forAll(
    captures().filter((path) => path.startsWith(pcapsDir)),
    async (path) => {
      const found = await compareParts(path);
      parts += found; // not in one: others add while this one waits
    },
  );
  assert.ok(parts > 10, `${parts} parts`);
});
