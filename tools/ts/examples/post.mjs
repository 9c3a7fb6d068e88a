// Posts messages to a collector, ten a request:
//   OUTPUT_URL_AUTH_TOKEN=... node post.mjs https://collector.example/in eth0 80
import { createSniffer } from 'tcp-sniffer';
import { inputOf } from './arguments.mjs';

const [url, ...input] = process.argv.slice(2);
const sniffer = createSniffer({
  ...inputOf(input),
  outputUrl: { url, batchMessages: 10 },
  handleSignals: true,
});
await sniffer.start();
await sniffer.finished();
const { sent, dropped } = sniffer.stats().outputUrl;
console.log(`${sent} messages sent, ${dropped} dropped`);
