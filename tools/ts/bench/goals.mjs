// What the package is to reach, measured: npm run bench. Prints a table, as it stands in the README.
//
// Makes captures with tools/pcapgen, and runs everything that belongs to a row in turn, RUNS times
// (5). TCP_SNIFFER_BINARY, PCAPGEN and TRANSPORT (bench/transport) name the programs where the build
// tree does not have them. Ends with 1 when a goal is missed. `npm run bench:all` measures all ways.

import {
  binary,
  built,
  circumstances,
  figure,
  generated,
  measure,
  median,
  resultOf,
  runs,
} from './measure.mjs';

const smallSize = process.env.SMALL_SIZE ?? '500M';
const apiSize = process.env.API_SIZE ?? '600M';
const largeSize = process.env.LARGE_SIZE ?? '2G';
const pipeSize = process.env.PIPE_SIZE ?? '500M';

/** Runs each job in turn; gives the results of each. */
function interleaved(jobs) {
  const results = new Map(jobs.map((job) => [job.name, []]));
  for (let i = 0; i < runs; i += 1) {
    for (const { name, run } of jobs) results.get(name).push(run());
  }
  return results;
}

const ratio = (value) => `${value.toFixed(2)} ×`;
const rows = [];
let missed = 0;

function add(what, measured, wanted, isReached) {
  if (!isReached) missed += 1;
  rows.push(`| ${what} | ${measured} | ${wanted} | ${isReached ? 'yes' : 'no'} |`);
}

/** A row without a goal. */
function note(what, measured) {
  rows.push(`| ${what} | ${measured} | – | – |`);
}

function jobOf(name, job) {
  return { name, run: () => measure(job) };
}

/** The rows of one capture of small messages. `goals`: of fields, of a header, and of all of them
 * against the naive loop; undefined: there are none. */
function small(what, capture, goals) {
  const engine = { files: [capture], ports: [80] };
  const sniff = { way: 'sniff', engine, format: 'packed', reuse: true };
  const results = interleaved([
    jobOf('naive', { way: 'naiveLoop', engine, format: 'ndjson' }),
    jobOf('fields', sniff),
    jobOf('kept', { ...sniff, reuse: false }),
    jobOf('header', { ...sniff, touch: 'header' }),
    jobOf('json', { ...sniff, touch: 'json' }),
    jobOf('null', { way: 'engineAlone', engine, format: 'packed' }),
  ]);
  const { messages } = results.get('fields')[0];
  for (const [name, all] of results) {
    if (name !== 'null' && all.some((one) => one.messages !== messages)) {
      throw new Error(`${name}: not ${messages} messages`);
    }
  }
  const rate = (name) => messages / (median(results.get(name).map(({ ms }) => ms)) / 1000);
  const perCpu = (name) => messages / (median(results.get(name).map(({ cpuMs }) => cpuMs)) / 1000);
  const row = (name, text, least, factor) => {
    const measured = `${figure(rate(name))} messages/s, ${ratio(rate(name) / rate('naive'))} the naive loop`;
    if (goals === undefined) return note(text, measured);
    const wanted = [least && `≥ ${figure(least)}`, factor && `≥ ${factor} ×`];
    const isReached = rate(name) >= least && rate(name) >= factor * rate('naive');
    add(text, measured, wanted.filter(Boolean).join(' and '), isReached);
  };
  const fields = `${what}, three fields and the body size read, end to end`;
  row('fields', `${fields}, \`reuse\``, goals?.fields, goals?.fieldsFactor);
  row('kept', fields, goals?.fields, goals?.fieldsFactor);
  row('header', 'the same plus one header lookup, `reuse`', goals?.header, 0);
  row('json', 'the same with `toJSON()` of every message', 0, goals?.jsonFactor);
  return `${what}: ${figure(messages)}; the naive loop ${figure(rate('naive'))} messages/s; the engine alone to /dev/null ${figure(rate('null'))}; Node per CPU second: three fields with \`reuse\` ${figure(perCpu('fields'))}, without ${figure(perCpu('kept'))}, one header ${figure(perCpu('header'))}, \`toJSON()\` ${figure(perCpu('json'))}.`;
}

function large() {
  const engine = { files: [generated('bulk', largeSize)], ports: [80], binaryBody: 'base64' };
  const sniff = { way: 'sniff', engine, format: 'packed', touch: 'body' };
  const results = interleaved([
    jobOf('reuse', { ...sniff, reuse: true }),
    jobOf('kept', sniff),
    jobOf('null', { way: 'engineAlone', engine, format: 'packed' }),
  ]);
  const { messages, bodyBytes } = results.get('reuse')[0];
  const rate = (name, time) =>
    bodyBytes / 1e6 / (median(results.get(name).map((one) => one[time])) / 1000);
  for (const [name, what] of [
    ['reuse', 'large bodies, `bodyBuffer` read, `reuse`'],
    ['kept', 'large bodies, `bodyBuffer` read'],
  ]) {
    add(what, `${figure(rate(name, 'ms'))} MB/s`, '≥ 1,500 MB/s', rate(name, 'ms') >= 1500);
  }
  return [
    `Large bodies: ${figure(messages)} messages, ${figure(bodyBytes / 1e6)} MB; the engine alone to /dev/null ${figure(rate('null', 'ms'))} MB/s; Node per CPU second: with \`reuse\` ${figure(rate('reuse', 'cpuMs'))} MB, without ${figure(rate('kept', 'cpuMs'))} MB.`,
  ];
}

function pipe() {
  const transport = built('bench/transport', 'TRANSPORT');
  if (transport === undefined) return ['The engine through a pipe: bench/transport is not built.'];
  for (const workload of ['api', 'short', 'bulk']) {
    const capture = generated(workload, pipeSize);
    for (const [what, flags] of [
      ['headers', ['--max-body-size', '0']],
      ['bodies', []],
    ]) {
      for (const format of ['ndjson', 'packed']) {
        const engine = [binary, '-q', '-r', capture, '--format', format, ...flags];
        const results = interleaved(
          ['null', 'pipe'].map((kind) => ({
            name: kind,
            run: () => resultOf(transport, ['drain', kind, ...engine]),
          })),
        );
        const wall = (kind) => median(results.get(kind).map((one) => one.wall));
        const speed = wall('null') / wall('pipe');
        add(
          `engine through a pipe to a reader of 1 MiB pieces, \`${workload}\`, ${what}, ${format}`,
          `${speed.toFixed(2)} of /dev/null`,
          '≥ 0.80',
          speed >= 0.8,
        );
      }
    }
  }
  return [];
}

const notes = [
  small('small messages', generated('tiny', smallSize), {
    fields: 1e6,
    fieldsFactor: 3.5,
    header: 8e5,
    jsonFactor: 1.3,
  }),
  small('messages of `api`', generated('api', apiSize)),
  ...large(),
  ...pipe(),
];
console.log(
  `${circumstances()} Captures: ${smallSize} of \`tiny\` (small messages: two to five short fields, bodies of 15 bytes), ${apiSize} of \`api\`, ${largeSize} of \`bulk\`, ${pipeSize} each for the pipe.\n`,
);
console.log('| what | measured | wanted | reached |\n|---|---|---|---|');
for (const row of rows) console.log(row);
for (const note of notes) console.log(`\n${note}`);
process.exitCode = missed > 0 ? 1 : 0;
