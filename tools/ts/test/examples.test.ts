import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import type { Har } from '../src/index.js';
import { fakeEngine, packageDir, pcapsDir, realEngine, temporaryDir } from './support.js';

/** A capture and what is in it: a bundled one, or the fake engine's idea of one. */
function input(): { file: string; exchanges: number; path: string; env: NodeJS.ProcessEnv } {
  if (realEngine !== undefined) {
    const file = join(pcapsDir, 'site_and_api.pcap');
    return { file, exchanges: 12, path: '/', env: { TCP_SNIFFER_BINARY: realEngine } };
  }
  const file = join(temporaryDir(), 'capture.pcap');
  writeFileSync(file, '');
  const plan = JSON.stringify({ exchanges: 12, connections: 1 });
  return {
    file,
    exchanges: 12,
    path: '/0/0',
    env: { TCP_SNIFFER_BINARY: fakeEngine, FAKE_ENGINE: plan },
  };
}

async function runExample(name: string, args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(process.execPath, [join(packageDir, 'examples', name), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (piece: string) => {
    text += piece;
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(status, 0);
  return text;
}

test('FiveLinesPrintTheMessages', async () => {
  const { file, exchanges, path, env } = input();
  const lines = (await runExample('print.mjs', [file], env)).trimEnd().split('\n');
  assert.equal(lines.length, 2 * exchanges);
  // Across connections lines have no order.
  assert.ok(lines.includes(`request GET ${path}`), lines.join('\n'));
  assert.ok(
    lines.some((line) => line.startsWith('response 200')),
    lines.join('\n'),
  );
});

test('TheTableHasARowForEachExchange', async () => {
  const { file, exchanges, env } = input();
  const [titles, ...rows] = (await runExample('table.mjs', [file], env)).trimEnd().split('\n');
  assert.match(titles ?? '', /^METHOD +HOST +PATH +STATUS +SIZE +LATENCY$/);
  assert.equal(rows.length, exchanges);
  for (const row of rows) assert.match(row, /^[A-Z]+ +\S+ +\/\S* +\d{3} +\d+k? +-?[\d.]+ ms$/);
});

test('ACaptureBecomesAHar', async () => {
  const { file, exchanges, env } = input();
  const har: Har = JSON.parse(await runExample('har.mjs', [file], env));
  assert.equal(har.log.entries.length, exchanges);
  for (const { response } of har.log.entries) {
    assert.ok(response.content.size === 0 || response.content.text !== undefined);
  }
});

test('MessagesArePostedToACollector', async () => {
  const { file, exchanges, env } = input();
  let received = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => {
      body += piece;
    });
    request.on('end', () => {
      received += body.trimEnd().split('\n').length;
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
  const said = await runExample('post.mjs', [url, file], env);
  server.close();
  assert.equal(received, 2 * exchanges);
  assert.equal(said, `${2 * exchanges} messages sent, 0 dropped\n`);
});
