import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { allowedOf } from '../src/config-rules.js';
import { checkConfig, SnifferError } from '../src/index.js';
import { packageDir, realEngine } from './support.js';

const ports = [80];
const live = { ports };
const sizes = 'also written as "64K", "1M", "2G"';

/** Configurations that both refuse, and the sentence that both say. */
const refusedByBoth: [object, string][] = [
  [
    {},
    'ports: none given for live capture; allowed: a list of whole numbers from 1 to 65535, none twice (-p 80,8080); -r FILE reads capture files instead, --help lists all keys',
  ],
  [
    { ports: [0] },
    'ports: 0 is out of range; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ports: [80, 65536] },
    'ports: 65536 is out of range; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ports: [80, 80] },
    'ports: 80 is given twice; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ports: [80.5] },
    'ports: 80.5 is not a whole number; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ports: ['80'] },
    'ports: "80" is not a whole number; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ports: 80 },
    'ports: 80 is not a list; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [
    { ports: { 0: 80 } },
    'ports: an object is not a list; allowed: a list of whole numbers from 1 to 65535, none twice',
  ],
  [{ ...live, sampleRate: 2 }, 'sampleRate: 2 is out of range; allowed: a number from 0 to 1'],
  [
    { ...live, sampleRate: -0.1 },
    'sampleRate: -0.1 is out of range; allowed: a number from 0 to 1',
  ],
  [{ ...live, sampleRate: '1' }, 'sampleRate: "1" is not a number; allowed: a number from 0 to 1'],
  [
    { ...live, sampleSeed: -1 },
    'sampleSeed: -1 is out of range; allowed: a whole number from 0 to 18446744073709551615',
  ],
  [
    { ...live, sampleSeed: 1e20 },
    'sampleSeed: 1e+20 is out of range; allowed: a whole number from 0 to 18446744073709551615',
  ],
  [
    { ...live, maxBodySize: -1 },
    `maxBodySize: -1 is out of range; allowed: whole bytes from 0 to 4294967295, ${sizes}`,
  ],
  [
    { ...live, maxBodySize: '1X' },
    `maxBodySize: "1X" is not a size; allowed: whole bytes from 0 to 4294967295, ${sizes}`,
  ],
  [
    { ...live, maxBodySize: '64' },
    `maxBodySize: "64" is not a size; allowed: whole bytes from 0 to 4294967295, ${sizes}`,
  ],
  [
    { ...live, maxBodySize: '5G' },
    `maxBodySize: "5G" is out of range; allowed: whole bytes from 0 to 4294967295, ${sizes}`,
  ],
  [
    { ...live, maxBodySize: null },
    `maxBodySize: null is not a whole number; allowed: whole bytes from 0 to 4294967295, ${sizes}`,
  ],
  [
    { ...live, connectionIdleTimeoutMs: 0 },
    'connectionIdleTimeoutMs: 0 is out of range; allowed: whole milliseconds from 1 to 4294967295, in flags also 500ms, 5s, 2m',
  ],
  [
    { ...live, connectionIdleTimeoutMs: '5s' },
    'connectionIdleTimeoutMs: "5s" is not a duration; allowed: whole milliseconds from 1 to 4294967295, in flags also 500ms, 5s, 2m',
  ],
  [
    { ...live, maxConcurrentConnections: 0 },
    'maxConcurrentConnections: 0 is out of range; allowed: a whole number from 1 to 100000000',
  ],
  [{ ...live, shards: 257 }, 'shards: 257 is out of range; allowed: a whole number from 0 to 256'],
  [
    { ...live, shards: true },
    'shards: true is not a whole number; allowed: a whole number from 0 to 256',
  ],
  [{ ...live, promiscuous: 1 }, 'promiscuous: 1 is not true or false; allowed: true or false'],
  [
    { ...live, format: 'xml' },
    'format: "xml" is not one of the words; allowed: one of ndjson, framed, pretty',
  ],
  [{ ...live, overload: 0 }, 'overload: 0 is not one of the words; allowed: one of block, drop'],
  [
    { ...live, protocols: [] },
    'protocols: an empty list names nothing; allowed: a list of http, pop3',
  ],
  [
    { ...live, protocols: ['http', 'http'] },
    'protocols: "http" is given twice; allowed: a list of http, pop3',
  ],
  [{ ...live, interface: '' }, 'interface: "" is empty; allowed: a name that is not empty'],
  [{ ...live, interface: 5 }, 'interface: 5 is not a string; allowed: a name that is not empty'],
  [{ ...live, filter: 'a\0b' }, 'filter: "a\\x00b" contains U+0000; allowed: a string'],
  [
    { ...live, redactHeaders: ['a b'] },
    'redactHeaders: "a b" is not a header name; allowed: a list of header names',
  ],
  [
    { ...live, redactHeaders: 'Cookie' },
    'redactHeaders: "Cookie" is not a list; allowed: a list of header names',
  ],
  [
    { ...live, metricsListen: '127.0.0.1' },
    'metricsListen: "127.0.0.1" is not an address and port; allowed: ADDRESS:PORT or a port, from 1 to 65535',
  ],
  [
    { ...live, metricsListen: '::1:99' },
    'metricsListen: "::1:99" is not an address and port; allowed: ADDRESS:PORT or a port, from 1 to 65535',
  ],
  [
    { files: [] },
    'files: an empty list names nothing; allowed: a list of paths, at least one, none empty',
  ],
  [{ files: [''] }, 'files: "" is empty; allowed: a list of paths, at least one, none empty'],
  [
    { files: ['-'] },
    'files: "-" is standard input, which --config - reads too; allowed: one of the two',
  ],
  [
    { ...live, files: ['a.pcap'], interface: 'lo' },
    'interface: "lo" and files: "a.pcap" exclude each other; allowed: one of the two',
  ],
  [
    { ...live, memoryLimit: '16M', reassemblyBufferSize: '17M' },
    'reassemblyBufferSize: 17825792 is more than memoryLimit: 16777216; allowed: at most memoryLimit',
  ],
  [
    { ...live, maxBodysize: 5 },
    'unknown key "maxBodysize" with the value 5; did you mean "maxBodySize"?',
  ],
  [{ ...live, port: [80] }, 'unknown key "port"; did you mean "ports"?'],
  [
    { ...live, frobnicate: 'x\u001b[31m' },
    'unknown key "frobnicate" with the value "x\\x1b[31m"; allowed: the keys that --help lists, in camelCase',
  ],
  [
    { ...live, [`k${'é'.repeat(40)}`]: 'v'.repeat(70) },
    `unknown key "k${'é'.repeat(31)}..." with the value "${'v'.repeat(64)}..."; allowed: the keys that --help lists, in camelCase`,
  ],
];

/** Configurations that only the package refuses. */
const refusedHere: [object, string][] = [
  [
    { ...live, format: 'pretty' },
    'format: "pretty" is for people, not for programs; allowed here: ndjson, framed',
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
    'outputUrl: unknown key "batchMesages" with the value 9; did you mean "batchMessages"?',
  ],
  [{ ...live, onHttpMessage: 'no' }, 'onHttpMessage: "no" is not a function; allowed: a function'],
  [
    { ...live, outputStdout: 'yes' },
    'outputStdout: "yes" is not true or false; allowed: true, false, or a writable stream',
  ],
  [
    { ...live, transport: 'tcp' },
    'transport: "tcp" is not one of the words; allowed: one of fifo, pipe, fifo-threadpool',
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
    { ...live, binarypath: '/x' },
    'unknown key "binarypath" with the value "/x"; did you mean "binaryPath"?',
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
  for (const [config, sentence] of [...refusedByBoth, ...refusedHere]) {
    assert.equal(refusal(config), sentence, JSON.stringify(config));
  }
});

test('TheEngineSaysTheSameSentences', { skip: realEngine === undefined && 'no engine' }, () => {
  for (const [config, sentence] of refusedByBoth) {
    const engine = spawnSync(realEngine ?? '', ['--config', '-'], {
      input: `${JSON.stringify(config)}\n`,
      encoding: 'utf8',
    });
    assert.equal(engine.status, 2, JSON.stringify(config));
    const fatal = JSON.parse(engine.stderr.trim().split('\n').at(-1) ?? '');
    assert.deepEqual([fatal.event, fatal.code], ['fatal', 'INVALID_CONFIG']);
    assert.equal(fatal.message, sentence, JSON.stringify(config));
  }
});

test('TheSchemaIsTheEnginesTable', { skip: realEngine === undefined && 'no engine' }, () => {
  const script = join(packageDir, 'scripts/schema-from-engine.mjs');
  const check = spawnSync(process.execPath, [script, realEngine ?? '', '--check'], {
    encoding: 'utf8',
  });
  assert.equal(check.status, 0, check.stderr);
  const table = spawnSync(realEngine ?? '', ['--help-keys-markdown'], { encoding: 'utf8' }).stdout;
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  assert.ok(rows.length > 50);
  for (const row of rows) {
    const [key = '', , , allowed] = row.replace(/^\| | \|$/g, '').split(' | ');
    assert.equal(allowedOf(key.replaceAll('`', '')), allowed, key);
  }
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
