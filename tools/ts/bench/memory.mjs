// Whether the memory of this process stays flat: node bench/memory.mjs CAPTURE [--duration SECONDS]
//
// Reads the capture again and again through the package, as messages and as exchanges in turn, and
// rests as long as it read: half load. Prints a line of JSON each ten seconds, and at the end the
// largest resident set of the second and of the last quarter. Ends with 1 when the last one is more
// than a tenth and 8 MiB larger. TCP_SNIFFER_BINARY names the engine.

import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createSniffer } from 'tcp-sniffer';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { duration: { type: 'string', default: '3600' } },
});
const [capture] = positionals;
const seconds = Number(values.duration);
if (capture === undefined || !(seconds > 0)) {
  throw new Error('usage: node bench/memory.mjs CAPTURE [--duration SECONDS]');
}

const sampleMs = 1000;
const reportMs = 10_000;
const mib = 1_048_576;
const peaks = [0, 0, 0, 0];
let messages = 0;
let runs = 0;
let bytes = 0;
const begin = performance.now();

function elapsed() {
  return (performance.now() - begin) / 1000;
}

const sampler = setInterval(() => {
  const quarter = Math.min(3, Math.floor((4 * elapsed()) / seconds));
  peaks[quarter] = Math.max(peaks[quarter], process.memoryUsage.rss());
}, sampleMs);
const reporter = setInterval(() => {
  const { rss, heapUsed, external } = process.memoryUsage();
  const [rssMiB, heapMiB, externalMiB] = [rss, heapUsed, external].map((of) =>
    Math.round(of / mib),
  );
  const s = Math.round(elapsed());
  console.log(JSON.stringify({ s, runs, messages, rssMiB, heapMiB, externalMiB }));
}, reportMs);

while (elapsed() < seconds) {
  const runBegin = performance.now();
  const use = (message) => {
    messages += 1;
    bytes += message.bodySize + (message.header('content-type')?.length ?? 0);
  };
  const sniffer = createSniffer({
    files: [capture],
    ...(runs % 2 === 0
      ? { onHttpMessage: use }
      : {
          records: 'exchange',
          onExchange: ({ request, response }) => {
            if (request !== undefined) use(request);
            if (response !== undefined) use(response);
          },
        }),
  });
  await sniffer.start();
  await sniffer.finished();
  runs += 1;
  await delay(performance.now() - runBegin);
}
clearInterval(sampler);
clearInterval(reporter);
const [second, last] = [peaks[1], peaks[3]];
const isFlat = last <= second * 1.1 + 8 * mib;
console.log(
  `${runs} runs, ${messages} messages, ${bytes} bytes of bodies: ${Math.round(second / mib)} MiB in the second quarter, ${Math.round(last / mib)} MiB in the last: ${isFlat ? 'flat' : 'it grows'}`,
);
process.exitCode = isFlat ? 0 : 1;
