// What the programs of this folder share: captures, runs and medians.

import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinary } from 'tcp-sniffer';

export const runs = Number(process.env.RUNS ?? 5);
export const binary = findBinary(undefined);
export const directory = mkdtempSync(join(tmpdir(), 'tcp-sniffer-bench-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

function here(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** A program of the build tree; undefined: it is not built. */
export function built(name, variable) {
  const candidates = [process.env[variable], here(`../../../build/release/${name}`)];
  return candidates.find((path) => path && existsSync(path));
}

/** A capture of tools/pcapgen, as large as `size` says. */
export function generated(workload, size) {
  const pcapgen = built('tools/pcapgen/pcapgen', 'PCAPGEN');
  if (pcapgen === undefined) throw new Error('no pcapgen: build it, or say captures');
  const file = join(directory, `${workload}.pcap`);
  execFileSync(pcapgen, ['-w', workload, '-s', size, '-o', file], { stdio: 'ignore' });
  return file;
}

/** The engine's output in a file. */
export function record(engine, format) {
  const file = join(directory, `recorded.${format}`);
  const output = openSync(file, 'w');
  const run = spawnSync(binary, ['--config', '-'], {
    input: `${JSON.stringify({ ...engine, format })}\n`,
    stdio: ['pipe', output, 'ignore'],
  });
  closeSync(output);
  if (run.status !== 0) throw new Error(`the engine ended with ${run.status}`);
  return file;
}

/** What a command prints as JSON. */
export function resultOf(command, args) {
  const run = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (run.status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
  return JSON.parse(run.stdout);
}

/** One run of run-one.mjs. */
export function measure(job) {
  return resultOf(process.execPath, [here('run-one.mjs'), JSON.stringify({ binary, ...job })]);
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

export function figure(value) {
  return Math.round(value).toLocaleString('en');
}

/** Where and how it was measured. */
export function circumstances() {
  const model = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
  return `Node ${process.versions.node}, ${cpus().length} cores, ${model ?? 'unknown'}; medians of ${runs} interleaved runs.`;
}
