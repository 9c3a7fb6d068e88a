// What the examples read: capture files, or an interface and its ports.
import { existsSync } from 'node:fs';

/** `a.pcap b.pcap`, or `eth0 80,8080`, as keys of the configuration. */
export function inputOf(args) {
  if (args.length === 0) throw new Error('say capture files, or an interface and ports');
  if (existsSync(args[0])) return { files: args };
  const [name, ports = '80'] = args;
  return { interface: name, ports: ports.split(',').map(Number) };
}
