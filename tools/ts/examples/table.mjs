// A live table of exchanges:
//   node table.mjs eth0 80,8080
//   node table.mjs capture.pcap
// On a terminal the newest stand in a table that is drawn again; elsewhere each is a line.
import { createSniffer, headerOf, pairStream, printable } from 'tcp-sniffer';
import { inputOf } from './arguments.mjs';

const redrawMs = 100;
const columns = [
  { title: 'METHOD', width: 8, value: ({ request }) => request?.method },
  { title: 'HOST', width: 24, value: ({ request }) => request && headerOf(request, 'host') },
  { title: 'PATH', width: 40, value: ({ request }) => request?.path },
  { title: 'STATUS', width: 6, right: true, value: ({ response }) => response?.statusCode },
  { title: 'SIZE', width: 9, right: true, value: ({ response }) => sizeText(response?.bodySize) },
  {
    title: 'LATENCY',
    width: 10,
    right: true,
    value: ({ response }) =>
      response?.latencyMs === undefined ? undefined : `${response.latencyMs.toFixed(1)} ms`,
  },
];

function sizeText(bytes) {
  if (bytes === undefined) return undefined;
  if (bytes < 10_000) return String(bytes);
  return bytes < 10_000_000 ? `${Math.round(bytes / 1e3)}k` : `${Math.round(bytes / 1e6)}M`;
}

function cell(text, { width, right }) {
  // What came from the wire may hold anything, also what moves a terminal's cursor.
  const shown = printable(String(text ?? '-'));
  const cut = shown.length > width ? `${shown.slice(0, width - 1)}\u2026` : shown;
  return right ? cut.padStart(width) : cut.padEnd(width);
}

const titles = columns.map((column) => cell(column.title, column)).join('  ');
const rowOf = (exchange) =>
  columns
    .map((column) => cell(column.value(exchange), column))
    .join('  ')
    .trimEnd();

const terminal = process.stdout.isTTY;
const rows = [];
let count = 0;

function draw() {
  const height = Math.max(1, (process.stdout.rows ?? 24) - 3);
  rows.splice(0, rows.length - height);
  process.stdout.write(`\u001b[H\u001b[J${titles}\n${rows.join('\n')}\n${count} exchanges\n`);
}

const sniffer = createSniffer({ ...inputOf(process.argv.slice(2)), maxBodySize: 0 });
if (!terminal) console.log(titles);
const timer = terminal ? setInterval(draw, redrawMs) : undefined;
for await (const exchange of pairStream(sniffer)) {
  count += 1;
  if (terminal) rows.push(rowOf(exchange));
  else console.log(rowOf(exchange));
  if (rows.length > 2000) rows.splice(0, 1000);
}
clearInterval(timer);
if (terminal) draw();
