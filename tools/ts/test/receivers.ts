// Small servers that hold their senders to the protocols' rules: what they refuse, a real one refuses.
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface Taken {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  at: number;
}

export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** Cuts the connection instead. */
  cut?: boolean;
  /** Never answers. */
  hangs?: boolean;
  /** Writes these bytes instead. */
  raw?: string;
}

/** Answers what it is told in turn, then what its rules say. */
export class Receiver {
  readonly taken: Taken[] = [];
  readonly replies: Reply[];
  /** A larger request, after it was unpacked, gets the answer below. */
  bytesMax = Infinity;
  tooLarge: Reply = { status: 413 };
  /** What the rules found wrong. */
  readonly faults: string[] = [];
  readonly #server: Server;
  readonly #rules: (taken: Taken) => Reply;

  constructor(rules: (taken: Taken) => Reply, replies: Reply[] = []) {
    this.#rules = rules;
    this.replies = replies;
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const reply = this.#replyTo(request, Buffer.concat(pieces));
        if (reply.cut) {
          request.socket.destroy();
          return;
        }
        if (reply.hangs) return;
        if (reply.raw !== undefined) {
          request.socket.write(reply.raw);
          return;
        }
        response.writeHead(reply.status, reply.headers);
        response.end(reply.body ?? '');
      });
    });
  }

  #replyTo(request: import('node:http').IncomingMessage, bytes: Buffer): Reply {
    try {
      assert.equal(request.method, 'POST');
      assert.equal(request.headers['content-encoding'], 'gzip');
      const { url: path = '', headers } = request;
      const taken = {
        path,
        headers,
        text: gunzipSync(bytes).toString('utf8'),
        at: performance.now(),
      };
      this.taken.push(taken);
      if (taken.text.length > this.bytesMax) return this.tooLarge;
      return this.replies.shift() ?? this.#rules(taken);
    } catch (error) {
      this.faults.push((error as Error).message);
      return { status: 400, body: (error as Error).message };
    }
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

export type Json = Record<string, unknown>;

function only(value: unknown, keys: readonly string[]): Json {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value));
  for (const key of Object.keys(value)) assert.ok(keys.includes(key), `unknown field ${key}`);
  return value as Json;
}

function list(value: unknown): unknown[] {
  assert.ok(Array.isArray(value));
  return value;
}

function checkAttributes(value: unknown): void {
  const keys = new Set<unknown>();
  for (const one of list(value)) {
    const { key, value: any } = only(one, ['key', 'value']);
    assert.ok(typeof key === 'string' && key !== '' && !keys.has(key));
    keys.add(key);
    const [[kind, held] = [], ...more] = Object.entries(any as Json);
    assert.equal(more.length, 0);
    if (kind === 'stringValue') assert.equal(typeof held, 'string');
    else if (kind === 'intValue') assert.match(String(held), /^-?\d+$/);
    else if (kind === 'boolValue') assert.equal(typeof held, 'boolean');
    else {
      assert.equal(kind, 'arrayValue');
      for (const item of list(only(held, ['values']).values)) only(item, ['stringValue']);
    }
  }
}

const nanoseconds = /^\d{1,20}$/;

function checkSpan(value: unknown): Json {
  const span = only(value, [
    'traceId',
    'spanId',
    'parentSpanId',
    'name',
    'kind',
    'startTimeUnixNano',
    'endTimeUnixNano',
    'attributes',
    'status',
  ]);
  assert.match(String(span.traceId), /^(?!0{32})[0-9a-f]{32}$/);
  assert.match(String(span.spanId), /^(?!0{16})[0-9a-f]{16}$/);
  assert.ok(typeof span.name === 'string' && span.name !== '');
  assert.ok(span.kind === 2 || span.kind === 3);
  assert.match(String(span.startTimeUnixNano), nanoseconds);
  assert.match(String(span.endTimeUnixNano), nanoseconds);
  assert.ok(BigInt(String(span.startTimeUnixNano)) <= BigInt(String(span.endTimeUnixNano)));
  checkAttributes(span.attributes);
  only(span.status, ['code', 'message']);
  return span;
}

function checkPoint(value: unknown): Json {
  const point = only(value, [
    'attributes',
    'startTimeUnixNano',
    'timeUnixNano',
    'count',
    'sum',
    'min',
    'max',
    'bucketCounts',
    'explicitBounds',
  ]);
  checkAttributes(point.attributes);
  assert.match(String(point.startTimeUnixNano), nanoseconds);
  assert.ok(BigInt(String(point.startTimeUnixNano)) <= BigInt(String(point.timeUnixNano)));
  const counts = list(point.bucketCounts).map(Number);
  assert.equal(counts.length, list(point.explicitBounds).length + 1);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    Number(point.count),
  );
  return point;
}

/** OTLP/HTTP with JSON, as in the specification and opentelemetry-proto. */
export class OtlpReceiver extends Receiver {
  readonly spans: Json[] = [];
  points: Json[] = [];
  service: unknown;
  override tooLarge = {
    status: 400,
    body: '{"code":3, "message":"http: request body too large"}',
  };

  constructor(replies: Reply[] = []) {
    super((taken) => {
      assert.equal(taken.headers['content-type'], 'application/json');
      const { resource, scope, schemaUrl, things } = OtlpReceiver.#open(taken);
      assert.match(schemaUrl, /^https:\/\/opentelemetry\.io\/schemas\/\d+\.\d+\.\d+$/);
      checkAttributes(only(resource, ['attributes']).attributes);
      this.service = JSON.stringify(resource);
      only(scope, ['name', 'version']);
      if (taken.path.endsWith('/v1/traces')) this.spans.push(...things.map(checkSpan));
      else this.points = things.flatMap((metric) => OtlpReceiver.#pointsOf(metric));
      return { status: 200, body: '{}', headers: { 'content-type': 'application/json' } };
    }, replies);
  }

  static #open({ path, text }: Taken) {
    const isTraces = path.endsWith('/v1/traces');
    assert.ok(isTraces || path.endsWith('/v1/metrics'), `no such path ${path}`);
    const [outer, inner, leaf] = isTraces
      ? ['resourceSpans', 'scopeSpans', 'spans']
      : ['resourceMetrics', 'scopeMetrics', 'metrics'];
    assert.ok(outer && inner && leaf);
    const [one, ...more] = list(only(JSON.parse(text), [outer])[outer]);
    assert.equal(more.length, 0);
    const resourceThings = only(one, ['resource', inner]);
    const [scoped] = list(resourceThings[inner]);
    const scopeThings = only(scoped, ['scope', leaf, 'schemaUrl']);
    return {
      resource: resourceThings.resource,
      scope: scopeThings.scope,
      schemaUrl: String(scopeThings.schemaUrl),
      things: list(scopeThings[leaf]),
    };
  }

  static #pointsOf(value: unknown): Json[] {
    const metric = only(value, ['name', 'description', 'unit', 'histogram']);
    assert.equal(metric.name, 'http.server.request.duration');
    assert.equal(metric.unit, 's');
    const histogram = only(metric.histogram, ['aggregationTemporality', 'dataPoints']);
    assert.equal(histogram.aggregationTemporality, 2);
    return list(histogram.dataPoints).map(checkPoint);
  }
}

/** `_bulk` of Elasticsearch: a line of the action, a line of the document, a line end at the end. */
export class ElasticReceiver extends Receiver {
  readonly documents = new Map<string, Json>();
  /** The status of the next documents, instead of the one that the rules give. */
  readonly statuses: number[] = [];

  constructor(replies: Reply[] = []) {
    super((taken) => {
      assert.match(taken.path, /^\/[a-z0-9.-]+\/_bulk$/);
      assert.equal(taken.headers['content-type'], 'application/x-ndjson');
      assert.ok(
        taken.text.endsWith('\n'),
        'the bulk request must be terminated by a newline [\\n]',
      );
      const lines = taken.text.slice(0, -1).split('\n');
      assert.equal(lines.length % 2, 0);
      const items = [];
      for (let at = 0; at < lines.length; at += 2) {
        const action = only(JSON.parse(lines[at] ?? ''), ['create']);
        const document = JSON.parse(lines[at + 1] ?? '') as Json;
        assert.ok(typeof document['@timestamp'] === 'string', 'a data stream needs @timestamp');
        items.push({ create: this.#create(only(action.create, ['_id']), document) });
      }
      const errors = items.some(({ create }) => create.status >= 300);
      return { status: 200, body: JSON.stringify({ took: 1, errors, items }) };
    }, replies);
  }

  #create(action: Json, document: Json) {
    const id = String(action._id ?? `made-${this.documents.size}`);
    const status = this.statuses.shift() ?? (this.documents.has(id) ? 409 : 201);
    if (status === 201) this.documents.set(id, document);
    if (status < 300) return { _id: id, status, result: 'created' };
    const type = status === 429 ? 'es_rejected_execution_exception' : 'document_parsing_exception';
    // OpenSearch and Elasticsearch quote what they cannot read.
    const quote = status === 429 ? '' : `. Preview of field's value: '${document['@timestamp']}'`;
    return { _id: id, status, error: { type, reason: `because of ${status}${quote}` } };
  }
}

/** Loki's push API. */
export class LokiReceiver extends Receiver {
  readonly lines: [bigint, string][] = [];
  labels: unknown;
  /** As VictoriaLogs answers, which takes Loki's pushes. */
  override tooLarge = {
    status: 400,
    body: 'cannot read Loki json data: too big data size exceeding -loki.maxRequestSize=4000 bytes',
  };

  constructor(replies: Reply[] = []) {
    super((taken) => {
      assert.equal(taken.path, '/loki/api/v1/push');
      assert.equal(taken.headers['content-type'], 'application/json');
      let last = 0n;
      for (const one of list(only(JSON.parse(taken.text), ['streams']).streams)) {
        const { stream, values } = only(one, ['stream', 'values']);
        this.labels = stream;
        for (const [name, label] of Object.entries(stream as Json)) {
          assert.match(name, /^[a-zA-Z_:][a-zA-Z0-9_:]*$/);
          assert.equal(typeof label, 'string');
        }
        for (const value of list(values)) {
          const [time, line, ...more] = list(value);
          assert.equal(more.length, 0);
          assert.ok(typeof time === 'string' && nanoseconds.test(time) && typeof line === 'string');
          assert.ok(BigInt(time) >= last, 'entry out of order');
          last = BigInt(time);
          this.lines.push([last, line]);
        }
      }
      return { status: 204 };
    }, replies);
  }
}

/** Takes lines of JSON. */
export class LinesReceiver extends Receiver {
  readonly lines: string[] = [];

  constructor(replies: Reply[] = []) {
    super((taken) => {
      assert.equal(taken.headers['content-type'], 'application/x-ndjson');
      assert.ok(taken.text.endsWith('\n'));
      const lines = taken.text.slice(0, -1).split('\n');
      for (const line of lines) JSON.parse(line);
      this.lines.push(...lines);
      return { status: 200 };
    }, replies);
  }
}
