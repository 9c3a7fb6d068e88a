// `npx tcp-sniffer`, with the real engine where there is one.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'node:test';
import { parseArguments } from '../src/cli-arguments.js';
import { findBinary, type Har } from '../src/index.js';
import { makeCapture } from './make-capture.js';
import { ElasticReceiver, LinesReceiver, LokiReceiver, OtlpReceiver } from './receivers.js';
import {
  isAlive,
  isPending,
  packageDir,
  pcapsDir,
  realEngine,
  temporaryDir,
  until,
} from './support.js';

const cli = join(packageDir, 'build/src/cli.js');
const options = { skip: realEngine === undefined && 'no engine' };
const site = join(pcapsDir, 'site_and_api.pcap');
const siteExchanges = 12;

interface Ended {
  status: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

function start(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { child, ended, errors: () => stderr };
}

async function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { child, ended } = start(args, env);
  child.stdin.end();
  return ended;
}

function parse(...args: string[]) {
  return parseArguments(args, {});
}

test('WhatIsNotThePackagesIsTheEngines', () => {
  const { own, engine, isPlain } = parse(
    ...['-i', 'eth0', '--har=a.har', '-p', '80', '--to', 'loki:http://a', '--to=http://b'],
    ...['--to', 'otlp:http://c', '--route', '/a/:b', '--', '--har'],
  );
  assert.deepEqual(engine, ['-i', 'eth0', '-p', '80', '--', '--har']);
  assert.equal(own.har, 'a.har');
  assert.deepEqual(
    own.to.map(({ name }) => name),
    ['loki:http://a', 'http://b', 'otlp:http://c'],
  );
  assert.deepEqual(own.routes, ['/a/:b']);
  assert.ok(!isPlain);
  assert.equal(parse('--har', 'a', '--har-bodies-max', '2G').own.harBodiesMax, 2 ** 31);
  assert.ok(parse('a.pcap', 'port 80').isPlain);
  assert.ok(parse('--har', 'a.har', '--version').isPlain);
  assert.ok(parse('--completion', 'bash').isPlain);
  assert.ok(parse('--har', 'a.har', '-qh').isPlain);
  assert.ok(!parse('--har', 'a.har', '-io').isPlain, 'the interface o');
  const bad: [string[], RegExp][] = [
    [['--har'], /^--har: no value; allowed: as in --har out\.har$/],
    [['--har', '-i', 'eth0'], /^--har: no value/],
    [['--har='], /^--har: no value/],
    [['--har', 'a', '--har', 'b'], /^--har: "b" is given again/],
    [['--har', 'a', '--format', 'csv'], /^--format: the engine writes for --har and --to/],
    [['--har', 'a', '--records=message'], /^--records: /],
    [['--har', 'a', '--har-bodies-max', '2 GB'], /^--har-bodies-max: "2 GB" is no size/],
    [['--har-bodies-max=1M', '--to', 'http://a'], /^--har-bodies-max: there is no HAR/],
    [['--to', 'http://a', '-o', 'x'], /^-o: /],
    [['--to', 'http://a', '-ox'], /^-o: /],
    [['--to', 'http://a', '-vqox'], /^-o: /],
    [['a.pcap', '--route', '/a'], /^--route: nothing uses it; allowed: together with --to otlp/],
    [['--to', 'loki:http://a', '--route', '/a'], /^--route: nothing uses it/],
    [['--to', 'elastic:http://a/b', '--service-name', 'a'], /^--service-name: nothing uses it/],
    [['--har', 'a', '--dead-letters', 'b'], /^--dead-letters: nothing uses it/],
  ];
  for (const [args, message] of bad) {
    assert.throws(() => parse(...args), { code: 'INVALID_CONFIG', message });
  }
  assert.deepEqual(parse('--to', 'http://a', '--records', 'exchange').engine, [
    '--records',
    'exchange',
  ]);
});

test('WithoutFlagsOfItsOwnItIsTheEngine', options, async () => {
  const plain = await run([site, '--format', 'ndjson']);
  assert.equal(plain.status, 0);
  assert.equal(plain.stdout.trimEnd().split('\n').length, 2 * siteExchanges);
  assert.equal((await run(['--version'])).status, 0);
  assert.equal((await run(['nosuch.pcap'])).status, 6);
  assert.equal((await run(['--nosuch'])).status, 2);
  const help = await run(['--help']);
  assert.match(help.stdout, /--to RECEIVER[\s\S]*--max-body-size/);
});

test('ACaptureBecomesAHarFile', options, async () => {
  const path = join(temporaryDir(), 'out.har');
  const { status, stderr, stdout } = await run([site, '--har', path]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, '');
  const { log } = JSON.parse(readFileSync(path, 'utf8')) as Har;
  assert.equal(log.entries.length, siteExchanges);
  for (const { response } of log.entries) {
    assert.ok(response.content.size === 0 || response.content.text !== undefined);
  }
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.match(stderr, /har .*out\.har: 12 entries/);
  const toStdout = await run([site, '-q', '--har', '-']);
  assert.equal((JSON.parse(toStdout.stdout) as Har).log.entries.length, siteExchanges);
  assert.equal(toStdout.stderr, '');
  const small = await run([site, '--har', path, '--har-bodies-max', '0']);
  assert.match(small.stderr, /12 entries, 0 responses without a request, [1-9]\d* bodies left out/);
  const to = ['--to', 'elastic:http://127.0.0.1:9/http'];
  for (const [what, flags] of [
    ['har', ['--har', '/nowhere/out']],
    ['dead letters', [...to, '--dead-letters', '/nowhere/out']],
  ] as const) {
    const nowhere = await run([site, ...flags]);
    assert.equal(nowhere.status, 7);
    const words = `tcp-sniffer: ${what} /nowhere/out cannot be opened: no such file or directory\n`;
    assert.equal(nowhere.stderr, words);
  }
});

test('ACaptureFromStandardInputIsRead', options, async () => {
  const { child, ended } = start(['-r', '-', '-q', '--har', '-']);
  child.stdin.end(readFileSync(site));
  assert.equal((JSON.parse((await ended).stdout) as Har).log.entries.length, siteExchanges);
});

test('OneRunFeedsAllReceivers', options, async () => {
  const receivers = [
    new OtlpReceiver(),
    new ElasticReceiver(),
    new LokiReceiver(),
    new LinesReceiver(),
  ];
  const [otlp, elastic, loki, lines] = receivers as [
    OtlpReceiver,
    ElasticReceiver,
    LokiReceiver,
    LinesReceiver,
  ];
  const urls = await Promise.all(receivers.map((receiver) => receiver.listen()));
  const { status, stderr } = await run(
    [
      ...[
        site,
        '--to',
        `otlp:${urls[0]}`,
        '--to',
        `elastic:${urls[1]}/http`,
        '--to',
        `loki:${urls[2]}`,
      ],
      ...['--to', `${urls[3]}/in`, '--route', '/api/**', '--service-name', 'shop'],
    ],
    {
      OUTPUT_URL_AUTH_TOKEN: 'one',
      ELASTIC_API_KEY: 'two',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=three',
    },
  );
  for (const receiver of receivers) receiver.close();
  assert.equal(status, 0, stderr);
  for (const { faults } of receivers) assert.deepEqual(faults, []);
  assert.equal(otlp.spans.length, siteExchanges);
  assert.equal(elastic.documents.size, siteExchanges);
  assert.equal(loki.lines.length, siteExchanges);
  assert.equal(lines.lines.length, siteExchanges);
  const count = otlp.points.reduce((sum, point) => sum + Number(point.count), 0);
  assert.equal(count, siteExchanges);
  assert.ok(otlp.spans.some(({ name }) => name === 'GET /api/**'));
  assert.ok(lines.lines.some((line) => JSON.parse(line).response.body));
  assert.equal(lines.taken[0]?.headers.authorization, 'Bearer one');
  assert.equal(elastic.taken[0]?.headers.authorization, 'ApiKey two');
  assert.equal(otlp.taken[0]?.headers['x-key'], 'three');
  assert.equal(loki.taken[0]?.headers.authorization, undefined);
  assert.match(stderr, /otlp:http:\/\/127\.0\.0\.1:\d+: 12 spans delivered, 0 not/);
  assert.match(stderr, /elastic:\S+\/http: 12 documents delivered/);
});

test('TheRecipesOfTheReadmeRun', options, async () => {
  const receivers = {
    'https://collector.example': new LinesReceiver(),
    'http://collector.example:4318': new OtlpReceiver(),
    'https://elastic.example:9200': new ElasticReceiver(),
    'http://loki.example:3100': new LokiReceiver(),
  };
  const directory = temporaryDir();
  const readme = readFileSync(join(packageDir, 'README.md'), 'utf8');
  const recipes = /^```console\n([\s\S]*?)^```$/m.exec(readme)?.[1]?.trimEnd().split('\n') ?? [];
  assert.ok(recipes.length >= 7);
  const used = new Set<string>();
  for (const recipe of recipes) {
    // There is no eth0 here, and none of these hosts.
    let line = recipe.replace(/^npx tcp-sniffer /, '').replace('-i eth0 -p 80', 'capture.pcap');
    line = line.replace('capture.pcap', site).replace(/ (\S+\.(har|ndjson))/, ` ${directory}/$1`);
    for (const [url, receiver] of Object.entries(receivers)) {
      if (!line.includes(url)) continue;
      used.add(url);
      line = line.replace(url, await receiver.listen());
    }
    const words = [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
    const { status, stderr } = await run(words);
    assert.equal(status, 0, `${recipe}\n${stderr}`);
  }
  assert.equal(used.size, Object.keys(receivers).length);
  for (const receiver of Object.values(receivers)) {
    receiver.close();
    assert.deepEqual(receiver.faults, []);
    assert.ok(receiver.taken.length > 0);
  }
});

test('LinesAloneAreTheEnginesOwn', options, async () => {
  const receiver = new LinesReceiver();
  const { status } = await run([site, '--to', `${await receiver.listen()}/in`]);
  receiver.close();
  assert.equal(status, 0);
  assert.equal(receiver.lines.length, 2 * siteExchanges);
  const expected = `${site}.expected.ndjson`;
  if (existsSync(expected)) {
    const wanted = readFileSync(expected, 'utf8').trimEnd().split('\n');
    assert.deepEqual(receiver.lines.sort(), wanted.sort());
  }
});

test('WhatIsNotDeliveredIsADeadLetterAndAnExitStatus', options, async () => {
  const receiver = new ElasticReceiver();
  receiver.statuses.push(201, 400);
  const url = (await receiver.listen()).replace('//', '//ann:secret@');
  const letters = join(temporaryDir(), 'dead.ndjson');
  const args = [site, '--to', `elastic:${url}/http`, '--dead-letters', letters];
  const { status, stderr, stdout } = await run(args);
  receiver.close();
  assert.equal(status, 7);
  assert.match(stderr, /11 documents delivered, 1 not \(1 in the dead letters\)/);
  assert.ok(!`${stderr}${stdout}${readFileSync(letters, 'utf8')}`.includes('secret'));
  assert.equal(receiver.taken[0]?.headers.authorization, `Basic ${btoa('ann:secret')}`);
  const [letter, ...more] = readFileSync(letters, 'utf8').trimEnd().split('\n');
  assert.deepEqual(more, []);
  assert.equal(JSON.parse(letter ?? '').item.ecs.version, '9.4.0');
});

test('BadArgumentsEndWithTwoAndShowNoSecret', options, async () => {
  const cases: [string[], NodeJS.ProcessEnv][] = [
    [['--to', 'ftp://ann:secret@a/'], {}],
    [['--to', 'https://a.example'], { OUTPUT_URL_AUTH_TOKEN: 'secret\n' }],
    [['--to', 'otlp:https://a.example', '--route', 'users'], {}],
  ];
  for (const [args, env] of cases) {
    const { status, stderr, stdout } = await run([site, ...args], env);
    assert.equal(status, 2, stderr);
    assert.ok(!`${stderr}${stdout}`.includes('secret'));
    assert.match(stderr, /^tcp-sniffer: .*allowed: /);
  }
});

test('CredentialsAreNotInTheListOfProcesses', options, async () => {
  const receiver = new LinesReceiver();
  const url = (await receiver.listen()).replace('//', '//ann:secret@');
  // An engine that waits: it reads a capture from standard input, which does not end.
  const { child, ended, errors } = start(['-r', '-', '--to', `${url}/in`], {
    OUTPUT_URL_AUTH_TOKEN: 'hidden',
  });
  const engineOf = (): number => {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
    return Number(children.trim().split(' ')[0]);
  };
  await until(() => engineOf() > 0, `the engine: ${errors()}`);
  await until(
    () => readFileSync(`/proc/${engineOf()}/cmdline`, 'latin1').includes('ndjson'),
    'the program of the engine',
  );
  for (const pid of [child.pid, engineOf()]) {
    assert.ok(!readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('secret'));
  }
  assert.ok(!readFileSync(`/proc/${engineOf()}/environ`, 'latin1').includes('hidden'));
  child.stdin.end(readFileSync(site));
  assert.equal((await ended).status, 0);
  assert.equal(receiver.lines.length, 2 * siteExchanges);
  receiver.close();
});

test('ASignalStopsTheEngineAndDeliversWhatItWrote', options, async () => {
  const receiver = new LinesReceiver();
  const { child, ended } = start(['-r', '-', '--to', `${await receiver.listen()}/in`]);
  child.stdin.on('error', () => {});
  const capture = join(temporaryDir(), 'many.pcap');
  makeCapture(capture, { exchanges: 500, connections: 5, bodyBytes: 100 });
  child.stdin.write(readFileSync(capture));
  await until(() => receiver.lines.length > 0, 'lines');
  child.kill('SIGTERM');
  const { status, stderr } = await ended;
  receiver.close();
  assert.equal(status, 0, stderr);
  const delivered = Number(/: (\d+) lines delivered, 0 not/.exec(stderr)?.[1]);
  assert.equal(delivered, receiver.lines.length);
  assert.ok(!isAlive(child.pid ?? 0));
});

test('ASecondSignalMakesDeadLettersOfTheRest', options, async () => {
  const receiver = new LinesReceiver(Array(10_000).fill({ status: 503 }));
  const letters = join(temporaryDir(), 'dead.ndjson');
  const { child, ended } = start([
    site,
    '--to',
    `${await receiver.listen()}/in`,
    '--dead-letters',
    letters,
  ]);
  child.stdin.end();
  await until(() => receiver.taken.length > 0, 'an attempt');
  child.kill('SIGINT');
  // Two at once would be one.
  await until(() => !isPending(child.pid ?? 0, constants.signals.SIGINT), 'the first signal taken');
  child.kill('SIGINT');
  const { status } = await ended;
  receiver.close();
  assert.equal(status, 7);
  assert.equal(readFileSync(letters, 'utf8').trimEnd().split('\n').length, 2 * siteExchanges);
});

test('ThePackagesOwnProgramIsNotTakenForTheEngine', () => {
  const directory = temporaryDir();
  const bin = join(directory, 'bin');
  const engines = join(directory, 'engines');
  const program = join(directory, 'dist');
  for (const path of [bin, engines, program]) mkdirSync(path);
  writeFileSync(join(program, 'cli.js'), '#!/usr/bin/env node\n');
  chmodSync(join(program, 'cli.js'), 0o755);
  symlinkSync(join(program, 'cli.js'), join(bin, 'tcp-sniffer'));
  const engine = join(engines, 'tcp-sniffer');
  copyFileSync('/bin/true', engine);
  const path = [bin, engines].join(delimiter);
  assert.equal(findBinary(undefined, { PATH: path }), engine);
  // As pnpm does it.
  const script = join(temporaryDir(), 'tcp-sniffer');
  writeFileSync(script, '#!/bin/sh\nexec node ../tcp-sniffer/dist/cli.js "$@"\n');
  chmodSync(script, 0o755);
  assert.equal(
    findBinary(undefined, { PATH: [join(script, '..'), engines].join(delimiter) }),
    engine,
  );
});

test('WithNobodyReadingStandardErrorAllIsDelivered', options, async () => {
  const receiver = new ElasticReceiver([{ status: 400, body: 'no' }]);
  const url = await receiver.listen();
  const letters = join(temporaryDir(), 'dead.ndjson');
  const args = ['-', '--to', `elastic:${url}/http`, '--dead-letters', letters];
  const { child, ended } = start(args);
  child.stderr.destroy();
  child.stdin.end(readFileSync(site));
  const { status } = await ended;
  receiver.close();
  assert.equal(status, 7);
  assert.equal(readFileSync(letters, 'utf8').trimEnd().split('\n').length, siteExchanges);
});
