import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { checkConfig, createSniffer, SnifferError } from '../src/index.js';
import { packageDir, realEngine } from './support.js';

const ports = [80];
const live = { ports };
/** Configurations that the engine rejects, and the sentence in which it does. */
const refusedByTheEngine: [object, string][] = [
  [
    { ports: [80, 65536] },
    'ports: 65536 is out of range; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ...live, maxBodySize: null },
    'maxBodySize: null is not a whole number; allowed: whole bytes from 0 to 4294967295, also written as "64K", "1M", "2G"',
  ],
  [
    { ...live, sampleRate: Number.NaN },
    'sampleRate: null is not a number; allowed: a number from 0 to 1',
  ],
  [
    { ...live, format: 'xml' },
    'format: "xml" is not one of the words; allowed: one of ndjson, framed, packed, pretty, tsv, csv',
  ],
  [
    { ...live, files: ['a.pcap'], interface: 'lo' },
    'interface: "lo" and files: "a.pcap" exclude each other; allowed: one of the two',
  ],
  [
    { files: ['-'] },
    'files: "-" is standard input, which --config - reads too; allowed: one of the two',
  ],
  [
    { ...live, maxBodysize: 5 },
    'unknown key "maxBodysize" with the value 5; did you mean "maxBodySize"?',
  ],
];

/** Configurations that only the package refuses. */
const refusedHere: [object, string][] = [
  [
    { ...live, format: 'ndjson', select: ['path'] },
    'select: together with format: "ndjson", whose lines are read as whole messages; allowed here: format packed',
  ],
  [
    { ...live, format: 'pretty' },
    'format: "pretty" is for people, not for programs; allowed here: packed, ndjson, framed',
  ],
  [
    { ...live, records: 'exchange', onHttpMessage: () => {} },
    'onHttpMessage: it takes messages; allowed with records: "exchange": onExchange',
  ],
  [
    { ...live, onExchange: () => {} },
    'onExchange: it takes exchanges; allowed: together with records: "exchange"',
  ],
  [
    { ...live, records: 'exchange', workers: { module: 'm.mjs' } },
    'workers: they get messages; allowed together with records: "exchange": not given',
  ],
  [
    { ...live, output: 'x.ndjson' },
    'output: "x.ndjson" would keep the messages from this process; allowed here: not given',
  ],
  [
    { ...live, outputUrl: 'ftp://a/' },
    'outputUrl: "ftp:" is not http: or https:; allowed: an http or https URL',
  ],
  [
    { ...live, outputUrl: 'no url' },
    'outputUrl: "no url" is not a URL; allowed: an http or https URL',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', batchMessages: 0 } },
    'outputUrl.batchMessages: 0 is out of range; allowed: a whole number from 1 to 100000',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', batchMesages: 9 } },
    'outputUrl: unknown key "batchMesages"; allowed: url, batchMessages, batchWaitMs, queueBytes, concurrency, timeoutMs, headers',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', headers: { 'x-a': 'b\r\nx-c: d' } } },
    'outputUrl.headers: "x-a": the value has, as character 2, a line end; allowed: printable characters of Latin-1',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', headers: { 'x-a': '\u4e00' } } },
    'outputUrl.headers: "x-a": the value ends with a character that is not Latin-1; allowed: printable characters of Latin-1',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', headers: { 'x a': 'b' } } },
    'outputUrl.headers: "x a": the name is none of a header; allowed: letters, digits and -',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', headers: { 'x-a': 5 } } },
    'outputUrl.headers: "x-a": the value is not a text; allowed: a text',
  ],
  [
    { ...live, outputUrl: { url: 'http://a/', headers: { 'Content-Length': '5' } } },
    'outputUrl.headers: "Content-Length": this header is set here; allowed: other headers',
  ],
  [
    { ...live, outputUrl: 'http://ann:secret%zz@a/' },
    'outputUrl: the user name or the password of "http://[redacted]@a/" has a % that begins no byte; allowed: %25 instead of it',
  ],
  [
    { ...live, outputUrl: 'http://ann:se/cret@a b/' },
    'outputUrl: "http://[redacted]@a b/" is not a URL; allowed: an http or https URL',
  ],
  [{ ...live, onHttpMessage: 'no' }, 'onHttpMessage: "no" is not a function; allowed: a function'],
  [
    { ...live, outputStdout: 'yes' },
    'outputStdout: "yes" is not true or false; allowed: true, false, or a writable stream',
  ],
  [
    { ...live, transport: 'tcp' },
    'transport: "tcp" is not one of the words; allowed: one of socket, fifo, pipe, fifo-threadpool',
  ],
  [
    { files: ['a.pcap'], restart: true },
    'restart: true together with files; the messages would come again; allowed: live capture only',
  ],
  [
    { ...live, workers: { module: 'm.mjs' }, outputStdout: true },
    'workers: a module in worker threads together with outputStdout; allowed: one of the two',
  ],
  [
    { ...live, workers: { count: 2 } },
    'workers.module: undefined is not a module; allowed: a path or a file: URL',
  ],
  [
    { ...live, logger: {} },
    'logger: an object is not a logger; allowed: an object with warn and error',
  ],
  [
    { ...live, output: 5 },
    'output: 5 would keep the messages from this process; allowed here: not given',
  ],
  [
    { ...live, onHttpMesage: () => {} },
    "onHttpMesage: a function cannot be given to the engine; allowed: the engine's keys, onHttpMessage, onExchange, outputUrl, outputStdout, binaryPath, restart, handleSignals, lazy, reuse, workers, transport, logger",
  ],
  [
    { ...live, sampleSeed: 1n },
    "sampleSeed: a bigint cannot be given to the engine; allowed: the engine's keys, onHttpMessage, onExchange, outputUrl, outputStdout, binaryPath, restart, handleSignals, lazy, reuse, workers, transport, logger",
  ],
];

function refusal(config: object, env = {}): string | undefined {
  try {
    checkConfig(config, env);
  } catch (error) {
    assert.ok(error instanceof SnifferError);
    assert.equal(error.code, 'INVALID_CONFIG');
    return error.message;
  }
  return undefined;
}

test('BadConfigurationsAreRefusedWithTheirSentence', () => {
  for (const [config, sentence] of refusedHere) {
    assert.equal(refusal(config), sentence, String(Object.keys(config)));
  }
});

const options = { skip: realEngine === undefined && 'no engine' };

test('WhatTheEngineRejectsItSaysInItsWordsAtStart', options, async () => {
  for (const [config, message] of refusedByTheEngine) {
    const sniffer = createSniffer({ ...config, onHttpMessage: () => {} });
    await assert.rejects(sniffer.start(), { code: 'INVALID_CONFIG', message, exitCode: 2 });
  }
});

test('TheSchemaIsTheEnginesTable', options, () => {
  const script = join(packageDir, 'scripts/schema-from-engine.mjs');
  const check = spawnSync(process.execPath, [script, realEngine ?? '', '--check'], {
    encoding: 'utf8',
  });
  assert.equal(check.status, 0, check.stderr);
});

test('TheLongestMessageFollowsFromTheSizesThatTheEngineIsGiven', () => {
  const most = (config: object): number => checkConfig({ ...live, ...config }, {}).messageBytesMax;
  assert.equal(most({}), most({ maxBodySize: 1048576, maxHeaderBytes: 262144 }));
  assert.equal(most({ maxBodySize: '64KiB' }), most({ maxBodySize: 65536 }));
  assert.equal(most({ maxBodySize: '2g' }), most({ maxBodySize: 2 * 1024 ** 3 }));
  assert.ok(most({ maxBodySize: 0 }) < most({ maxBodySize: 1 }));
});

test('GoodConfigurationsPass', () => {
  const good: object[] = [
    live,
    { files: ['a.pcap', 'b.pcapng'] },
    { files: ['a.pcap'], ports: [] },
    { ...live, maxBodySize: '64KiB', memoryLimit: '2g', sampleRate: 0, sampleSeed: 2 ** 60 },
    { ...live, metricsListen: '9464' },
    { ...live, metricsListen: '[::1]:9464' },
    { ...live, maxBodySize: undefined, interface: undefined },
    { ...live, outputUrl: new URL('https://collector.example/') },
    { ...live, restart: true, handleSignals: true, lazy: true, outputStdout: false },
  ];
  for (const config of good) assert.equal(refusal(config), undefined);
});

test('ATokenThatIsNoHeaderIsRefusedAndNotShown', () => {
  const config = { ...live, outputUrl: 'https://collector.example/in' };
  for (const end of ['\n', '\r\n', '\0', '\u20ac']) {
    const sentence = refusal(config, { OUTPUT_URL_AUTH_TOKEN: `secret${end}` });
    assert.match(sentence ?? '', /^OUTPUT_URL_AUTH_TOKEN: the value .*; allowed: printable/);
    assert.ok(!sentence?.includes('secret'));
  }
  assert.equal(refusal(config, { OUTPUT_URL_AUTH_TOKEN: 'secret' }), undefined);
  // Who posts nothing needs no token.
  assert.equal(refusal(live, { OUTPUT_URL_AUTH_TOKEN: 'secret\n' }), undefined);
});

test('ProductionDemandsHttps', () => {
  const config = { ...live, outputUrl: 'http://collector.example/in' };
  assert.equal(refusal(config, { NODE_ENV: 'development' }), undefined);
  assert.equal(
    refusal(config, { NODE_ENV: 'production' }),
    'outputUrl: "http://collector.example" is not encrypted; allowed with NODE_ENV=production: an https URL',
  );
  const secure = { ...live, outputUrl: 'https://collector.example/in' };
  assert.equal(refusal(secure, { NODE_ENV: 'production' }), undefined);
});
