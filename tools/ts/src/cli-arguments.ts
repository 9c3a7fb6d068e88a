import { bytesOf, refuse, show } from './config-values.js';
import { type Endpoint, type EndpointKind, endpointOf } from './send/endpoint.js';

/** What the program of the package does itself; everything else is the engine's. */
export interface OwnArguments {
  har: string | undefined;
  /** Bytes of all bodies in the HAR; undefined: its default. */
  harBodiesMax: number | undefined;
  to: Endpoint[];
  routes: string[];
  serviceName: string;
  deadLetters: string | undefined;
}

export interface CliArguments {
  own: OwnArguments;
  /** For the engine. */
  engine: string[];
  /** Whether the engine runs as if it had been called itself. */
  isPlain: boolean;
}

export const ownHelp = `tcp-sniffer from its package for Node; with none of these flags it is the engine alone:

  --har FILE            writes a HAR file; - is standard output
  --har-bodies-max SIZE all bodies in it together; those that do not fit are left out (64M)
  --to RECEIVER         sends to, may be repeated:
                          http(s)://…                the engine's lines, as gzipped NDJSON
                          otlp:http(s)://host:4318   OpenTelemetry: spans and request durations
                          elastic:http(s)://…/index  Elasticsearch, OpenSearch: ECS documents
                          loki:http(s)://…           Grafana Loki
  --route PATTERN       otlp: a path as /users/:id becomes http.route; may be repeated
  --service-name NAME   otlp, loki: service.name; default: OTEL_SERVICE_NAME
  --dead-letters FILE   keeps what a receiver does not take

Credentials come from the environment: OUTPUT_URL_AUTH_TOKEN, OTEL_EXPORTER_OTLP_HEADERS,
ELASTIC_API_KEY or ELASTIC_USERNAME and ELASTIC_PASSWORD, LOKI_BEARER_TOKEN or LOKI_USERNAME and
LOKI_PASSWORD, LOKI_ORG_ID. TCP_SNIFFER_BINARY names the engine.

The engine's flags:

`;

const ownFlags: readonly string[] = [
  '--har',
  '--har-bodies-max',
  '--to',
  '--route',
  '--service-name',
  '--dead-letters',
];
/** The engine then writes something else than messages. */
const actionFlags: ReadonlySet<string> = new Set([
  '-h',
  '--help',
  '--help-keys-markdown',
  '--help-fields',
  '--help-fields-markdown',
  '--version',
  '-D',
  '--list-interfaces',
  '--completion',
  '--check',
]);
/** What the engine writes, and where to, is decided here. */
const formatFlags: readonly string[] = ['--format', '--output', '-o', '--select'];

/** The engine's flags of one letter that have no value: others may follow in the same word. */
const lettersAlone = 'hDvq';

/** The flags in a word of the command line: one, or several of one letter, as in `-qofile`. */
function flagsIn(word: string): string[] {
  if (!/^-[^-]/.test(word)) return [word.split('=', 1)[0] ?? ''];
  const flags: string[] = [];
  for (const letter of word.slice(1)) {
    flags.push(`-${letter}`);
    if (!lettersAlone.includes(letter)) break;
  }
  return flags;
}

function refuseFormats(engine: readonly string[], linesOnly: boolean): void {
  const refused = linesOnly ? formatFlags : [...formatFlags, '--records'];
  for (const argument of engine) {
    if (argument === '--') return;
    for (const flag of flagsIn(argument)) {
      if (!refused.includes(flag)) continue;
      refuse(
        `${flag}: the engine writes for --har and --to; allowed together with them: not given`,
      );
    }
  }
}

/** A flag that nothing would look at was meant for something. */
function refuseUnused(values: ReadonlyMap<string, readonly string[]>, to: readonly Endpoint[]) {
  const users: [string, readonly EndpointKind[]][] = [
    ['--route', ['otlp']],
    ['--service-name', ['otlp', 'loki']],
    ['--dead-letters', ['lines', 'otlp', 'elastic', 'loki']],
  ];
  for (const [flag, kinds] of users) {
    if (values.get(flag)?.length === 0 || to.some(({ kind }) => kinds.includes(kind))) continue;
    const names = kinds.map((kind) => (kind === 'lines' ? '--to http(s)://…' : `--to ${kind}:…`));
    refuse(`${flag}: nothing uses it; allowed: together with ${names.join(', ')}`);
  }
}

/** Parts the command line; throws INVALID_CONFIG. */
export function parseArguments(
  given: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): CliArguments {
  const values = new Map<string, string[]>(ownFlags.map((flag) => [flag, []]));
  const engine: string[] = [];
  let isOver = false;
  for (let at = 0; at < given.length; at += 1) {
    const argument = given[at] as string;
    isOver ||= argument === '--';
    const [flag = ''] = argument.split('=', 1);
    const list = isOver ? undefined : values.get(flag);
    if (list === undefined) {
      engine.push(argument);
      continue;
    }
    const inWord = argument.length > flag.length;
    if (!inWord) at += 1;
    const value = inWord ? argument.slice(flag.length + 1) : given[at];
    if (value === undefined || value === '' || (!inWord && /^--?[a-z]/.test(value))) {
      refuse(`${flag}: no value; allowed: as in ${flag} ${exampleOf(flag)}`);
    }
    list.push(value);
  }
  const one = (flag: string): string | undefined => {
    const list = values.get(flag) ?? [];
    if (list.length > 1) refuse(`${flag}: ${show(list[1])} is given again; allowed: once`);
    return list[0];
  };
  const to = (values.get('--to') ?? []).map((text) => endpointOf(text, env));
  const har = one('--har');
  const own = {
    har,
    harBodiesMax: sizeOf('--har-bodies-max', one('--har-bodies-max')),
    to,
    routes: values.get('--route') ?? [],
    serviceName: one('--service-name') ?? (env.OTEL_SERVICE_NAME || 'unknown_service:tcp-sniffer'),
    deadLetters: one('--dead-letters'),
  };
  if (har === undefined && own.harBodiesMax !== undefined) {
    refuse('--har-bodies-max: there is no HAR; allowed: together with --har');
  }
  const isAction = engine.some((word) => flagsIn(word).some((flag) => actionFlags.has(flag)));
  if (!isAction) refuseUnused(values, to);
  const isPlain = (har === undefined && to.length === 0) || isAction;
  if (!isPlain)
    refuseFormats(engine, har === undefined && to.every(({ kind }) => kind === 'lines'));
  return { own, engine, isPlain };
}

function sizeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = bytesOf(text);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) {
    refuse(`${flag}: ${show(text)} is no size; allowed: bytes, as in 500M or 2G`);
  }
  return bytes;
}

function exampleOf(flag: string): string {
  const examples: Record<string, string> = {
    '--har': 'out.har',
    '--har-bodies-max': '500M',
    '--to': 'https://collector.example/in',
    '--route': '/users/:id',
    '--service-name': 'shop',
    '--dead-letters': 'dead.ndjson',
  };
  return examples[flag] ?? 'VALUE';
}

/** The flags with which the engine writes what is wanted. They stand before the user's, which beat
 * them. */
export function engineFlags({ har, to }: OwnArguments): string[] {
  const isLines = to.some(({ kind }) => kind === 'lines');
  const linesOnly = har === undefined && to.every(({ kind }) => kind === 'lines');
  // Lines are posted as the engine wrote them.
  const flags = ['--format', isLines ? 'ndjson' : 'packed', '--output', '-'];
  if (linesOnly) return flags;
  flags.push('--records', 'exchange');
  if (har !== undefined) {
    flags.push('--fields', 'extended', '--raw-headers', '--binary-body', 'base64');
  } else if (!isLines) {
    // Nobody reads bodies.
    flags.push('--max-body-size', '0');
  }
  return flags;
}
