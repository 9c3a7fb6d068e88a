// Prints the messages of capture files: node print.mjs capture.pcap
import { createSniffer } from 'tcp-sniffer';

for await (const message of createSniffer({ files: process.argv.slice(2) })) {
  console.log(message.direction, message.method ?? message.statusCode, message.path ?? '');
}
