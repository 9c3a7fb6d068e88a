// A capture as a HAR file, for a browser's developer tools: node har.mjs capture.pcap > out.har
import { createSniffer, pairStream, toHar } from 'tcp-sniffer';
import { inputOf } from './arguments.mjs';

const sniffer = createSniffer({
  ...inputOf(process.argv.slice(2)),
  format: 'framed', // bodies whole, also those that are not text
  fields: 'extended',
  rawHeaders: true,
});
const exchanges = [];
for await (const exchange of pairStream(sniffer)) exchanges.push(exchange);
process.stdout.write(`${JSON.stringify(toHar(exchanges), null, 2)}\n`);
