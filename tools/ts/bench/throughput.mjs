// All ways of messages through the package: npm run bench:all, or
// node bench/throughput.mjs [CAPTURE...]
//
// For each capture the same traffic goes every way side by side, interleaved, and the medians are
// printed as a Markdown table, which stands in the README. Without a capture it makes two with
// tools/pcapgen (PCAPGEN names the program; else the build tree's is taken). TCP_SNIFFER_BINARY
// names the engine. RUNS is 5 unless given.

import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { circumstances, figure, generated, measure, median, record, runs } from './measure.mjs';

const forms = ['ndjson', 'framed', 'packed'];

function jobsFor(engine) {
  const recorded = Object.fromEntries(forms.map((format) => [format, record(engine, format)]));
  const jobs = [];
  const add = (name, job) => jobs.push({ name, job: { engine, ...job }, results: [] });
  add('engine, spawn + split + JSON.parse', { way: 'naiveLoop', format: 'ndjson' });
  const touches = [
    ['three fields', {}],
    ['three fields, reuse', { reuse: true }],
    ['and one header', { touch: 'header' }],
    ['and toJSON()', { touch: 'json' }],
    ['and bodyBuffer', { touch: 'body' }],
  ];
  for (const [name, job] of touches) {
    add(`engine, ${name}`, { way: 'sniff', format: 'packed', ...job });
  }
  for (const format of ['ndjson', 'framed']) {
    add('engine, three fields', { way: 'sniff', format });
  }
  add('engine, and bodyBuffer', { way: 'sniff', format: 'framed', touch: 'body' });
  for (const transport of ['fifo', 'pipe', 'fifo-threadpool']) {
    add(`engine, ${transport}, three fields`, { way: 'sniff', format: 'packed', transport });
  }
  for (const workers of [1, 2]) {
    const name = `engine, ${workers} worker${workers > 1 ? 's' : ''}`;
    add(name, { way: 'sniff', format: 'packed', workers });
  }
  for (const format of forms) add('engine to /dev/null', { way: 'engineAlone', format });
  add('recorded, text + split + JSON.parse', {
    way: 'plainLoop',
    format: 'ndjson',
    recorded: recorded.ndjson,
  });
  for (const format of forms) {
    add('recorded, decoder', { way: 'decoderLoop', format, recorded: recorded[format] });
  }
  return { jobs, sizes: forms.map((format) => statSync(recorded[format]).size) };
}

function row({ name, job, results }, messages, bodyBytes) {
  const seconds = median(results.map(({ ms }) => ms)) / 1000;
  const memory = median(results.map(({ peakKiB }) => peakKiB)) / 1024;
  const cpuMs = median(results.map((result) => result.cpuMs));
  const isNode = job.way !== 'engineAlone';
  const perCpu = (value) => (isNode ? figure(value / (cpuMs / 1000)) : '');
  return `| ${[
    name,
    job.format,
    figure(messages / seconds),
    figure(bodyBytes / 1e6 / seconds),
    perCpu(messages),
    perCpu(bodyBytes / 1e6),
    isNode ? figure(memory) : '',
  ].join(' | ')} |`;
}

const captures =
  process.argv.length > 2
    ? process.argv.slice(2)
    : ['bulk', 'api'].map((workload) => generated(workload, '500M'));
console.log(circumstances());
for (const capture of captures) {
  const engine = { files: [capture], ports: [80], binaryBody: 'base64' };
  const { jobs, sizes } = jobsFor(engine);
  for (let i = 0; i < runs; i += 1) {
    for (const one of jobs) one.results.push(measure(one.job));
  }
  const reference = jobs.find(({ job }) => job.touch === 'body');
  const { messages, bodyBytes } = reference.results[0];
  for (const { name, job, results } of jobs) {
    const wrong =
      job.way !== 'engineAlone' && results.some((result) => result.messages !== messages);
    if (wrong) throw new Error(`${name}: ${JSON.stringify(results)}, not ${messages} messages`);
  }
  console.log(
    `\n${basename(capture)}: ${messages} messages, ${Math.round(bodyBytes / 1e6)} MB of bodies, ${forms.map((format, i) => `${Math.round(sizes[i] / 1e6)} MB ${format}`).join(', ')}\n`,
  );
  console.log(
    '| way | form | messages/s | bodies MB/s | messages per CPU s | bodies MB per CPU s | peak MB |',
  );
  console.log('|---|---|--:|--:|--:|--:|--:|');
  for (const one of jobs) {
    console.log(row(one, messages, bodyBytes));
  }
}
