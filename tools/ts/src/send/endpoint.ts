import { checkHttpUrl } from '../config-url.js';
import { refuse, withoutCredentials } from '../config-values.js';
import { headerFault, valueFault } from '../header-values.js';
import { quoted } from '../printable.js';

export type EndpointKind = 'lines' | 'otlp' | 'elastic' | 'loki';
type Environment = Readonly<Record<string, string | undefined>>;

/** A value of `--to`, taken apart. */
export interface Endpoint {
  kind: EndpointKind;
  /** For messages: without credentials, without a query. */
  name: string;
  /** Without credentials. */
  url: URL;
  /** Among them those with the credentials. */
  headers: Record<string, string>;
}

/** The variables that hold credentials. The engine does not get them. */
export const secretVariables: readonly string[] = [
  'OUTPUT_URL_AUTH_TOKEN',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'ELASTIC_API_KEY',
  'ELASTIC_USERNAME',
  'ELASTIC_PASSWORD',
  'LOKI_BEARER_TOKEN',
  'LOKI_USERNAME',
  'LOKI_PASSWORD',
];

/** The URL with a path behind its own. */
export function withPath(url: URL, path: string): URL {
  const longer = new URL(url);
  longer.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
  return longer;
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** A variable's value as (part of) a header; an empty one counts as none. */
function secret(env: Environment, name: string): string | undefined {
  const value = env[name];
  if (value === undefined || value === '') return undefined;
  const fault = valueFault(value);
  if (fault !== undefined) refuse(`${name}: ${fault}`);
  return value;
}

function prefixed(prefix: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : `${prefix} ${value}`;
}

function userAndPassword(env: Environment, prefix: string): string | undefined {
  const user = secret(env, `${prefix}_USERNAME`);
  return user === undefined ? undefined : basic(user, secret(env, `${prefix}_PASSWORD`) ?? '');
}

/** `key=value,key2=value2`, percent-encoded (OpenTelemetry's exporter specification). */
function otlpHeaders(env: Environment): Record<string, string> {
  const name = 'OTEL_EXPORTER_OTLP_HEADERS';
  const out: Record<string, string> = {};
  for (const pair of (env[name] ?? '').split(',')) {
    if (pair.trim() === '') continue;
    const equals = pair.indexOf('=');
    const key = pair.slice(0, Math.max(0, equals)).trim().toLowerCase();
    let value: string;
    try {
      value = decodeURIComponent(pair.slice(equals + 1).trim());
    } catch {
      refuse(`${name}: a value has a % that begins no byte; allowed: %25 instead of it`);
    }
    const fault = headerFault(key, value);
    if (fault !== undefined) refuse(`${name}: ${quoted(key)}: ${fault}`);
    out[key] = value;
  }
  return out;
}

function headersOf(kind: EndpointKind, env: Environment): Record<string, string> {
  const headers: Record<string, string | undefined> = {};
  switch (kind) {
    case 'lines':
      headers.authorization = prefixed('Bearer', secret(env, 'OUTPUT_URL_AUTH_TOKEN'));
      break;
    case 'otlp':
      return otlpHeaders(env);
    case 'elastic':
      headers.authorization =
        prefixed('ApiKey', secret(env, 'ELASTIC_API_KEY')) ?? userAndPassword(env, 'ELASTIC');
      break;
    case 'loki':
      headers.authorization =
        prefixed('Bearer', secret(env, 'LOKI_BEARER_TOKEN')) ?? userAndPassword(env, 'LOKI');
      headers['x-scope-orgid'] = secret(env, 'LOKI_ORG_ID');
      break;
  }
  const known = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as Record<string, string>;
}

/** Reads a value of `--to`; throws INVALID_CONFIG. Errors show no credentials. */
export function endpointOf(text: string, env: Environment): Endpoint {
  const prefix = /^(otlp|elastic|loki):/.exec(text)?.[1];
  const kind = (prefix ?? 'lines') as EndpointKind;
  const given = prefix === undefined ? text : text.slice(prefix.length + 1);
  if (!/^https?:\/\//i.test(given)) {
    refuse(
      `--to: ${quoted(withoutCredentials(text))} is no receiver; allowed: http(s)://…, otlp:http(s)://…, elastic:http(s)://…/index, loki:http(s)://…`,
    );
  }
  const url = checkHttpUrl('--to', given);
  if (kind === 'elastic' && !/[^/]\/*$/.test(url.pathname)) {
    refuse(
      `--to: ${quoted(withoutCredentials(text))} names no index; allowed: elastic:http(s)://…/index`,
    );
  }
  const headers = headersOf(kind, env);
  if (url.username !== '' || url.password !== '') {
    const [user, password] = [url.username, url.password].map(decodeURIComponent);
    headers.authorization ??= basic(user ?? '', password ?? '');
    url.username = '';
    url.password = '';
  }
  url.hash = '';
  const shown = `${url.origin}${url.pathname === '/' ? '' : url.pathname}`;
  return { kind, name: prefix === undefined ? shown : `${prefix}:${shown}`, url, headers };
}
