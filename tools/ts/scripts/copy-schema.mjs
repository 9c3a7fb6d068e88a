// The package carries the schemas, so that `tcp-sniffer/schema/message.schema.json` resolves.
import { cpSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const from = new URL('../../schema/', import.meta.url);
const to = new URL('../dist/schema/', import.meta.url);
for (const name of readdirSync(from)) {
  if (!name.endsWith('.schema.json')) continue;
  cpSync(fileURLToPath(new URL(name, from)), fileURLToPath(new URL(name, to)));
}
