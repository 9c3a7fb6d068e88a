import type { HttpMessageFields, Pop3MessageFields } from '../src/index.js';

const ends = {
  receiver: { ip: '192.0.2.1', port: 8080 },
  destination: { ip: '198.51.100.7', port: 40000 },
};

/** A request; `fields` overrides. */
export function request(
  exchange: number,
  fields: Partial<HttpMessageFields> = {},
): HttpMessageFields {
  return {
    ...ends,
    direction: 'request',
    method: 'GET',
    path: `/page/${exchange}?q=a%20b&r=`,
    httpVersion: '1.1',
    headers: {
      host: 'shop.example:8080',
      'user-agent': 'curl/8.0',
      referer: 'http://shop.example/',
      cookie: 'a=1; b=2',
    },
    body: '',
    bodySize: 0,
    timestamp: '2025-02-21T12:00:00.000250Z',
    durationMs: 0.5,
    connectionId: '00000000000000aa',
    exchange,
    ...fields,
  };
}

/** The response to it. */
export function response(
  exchange: number,
  fields: Partial<HttpMessageFields> = {},
): HttpMessageFields {
  return {
    ...ends,
    direction: 'response',
    statusCode: 200,
    statusText: 'OK',
    httpVersion: '1.1',
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'set-cookie': [
        'sid=x; Path=/; HttpOnly; Secure; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
        'theme=dark',
      ],
    },
    body: '<p>héllo</p>',
    bodySize: 13,
    timestamp: '2025-02-21T12:00:00.003250Z',
    durationMs: 1.25,
    latencyMs: 2.5,
    connectionId: '00000000000000aa',
    exchange,
    ...fields,
  };
}

function withoutBody({ body: _body, ...rest }: HttpMessageFields): HttpMessageFields {
  return rest;
}

/** Exchanges of every kind, among them what real traffic has of the odd. */
export const oddMessages: HttpMessageFields[] = [
  request(0),
  response(0),
  request(1, {
    method: 'POST',
    body: '{"a":1}',
    bodySize: 7,
    headers: { 'content-type': 'application/json' },
  }),
  response(1, { statusCode: 100, statusText: 'Continue', headers: {}, body: '', bodySize: 0 }),
  response(1, { statusCode: 503, statusText: '', headers: {}, body: '', bodySize: 0 }),
  request(2, { method: 'FROB', path: 'http://other.example/a b/ü?x', headers: {} }),
  response(2, { statusCode: 404, statusText: 'Not Found' }),
  request(3, { method: 'OPTIONS', path: '*' }),
  response(3, { statusCode: 302, headers: { location: '/else' }, latencyMs: -0.5 }),
  request(4, {
    method: 'CONNECT',
    path: 'inner.example:443',
    headers: { host: 'inner.example:443' },
  }),
  withoutBody(response(4, { bodyEncoding: 'binary' })),
  request(5, { headers: { host: 'bad host' }, path: '/%zz' }),
  response(5, { body: 'AP8=', bodyEncoding: 'base64', bodySize: 2 }),
  request(6, { incomplete: 'gap', missingBytes: 4 }),
  response(6, { incomplete: 'closed', bodyTruncated: true, statusCode: 500 }),
  request(7),
];

const pop3Fields = {
  ...ends,
  protocol: 'pop3',
  body: '',
  bodySize: 0,
  timestamp: '2025-02-21T12:00:00.000250Z',
  durationMs: 0.5,
  connectionId: '00000000000000bb',
  exchange: 0,
} as const;

/** A command of POP3 and its reply. */
export const pop3Messages: [Pop3MessageFields, Pop3MessageFields] = [
  { ...pop3Fields, direction: 'request', method: 'USER', argument: 'anna' },
  { ...pop3Fields, direction: 'response', status: '+OK', statusText: 'welcome', latencyMs: 0.25 },
];
