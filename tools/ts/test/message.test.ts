import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import {
  type HttpMessageFields,
  type HttpPartFields,
  headerOf,
  headerValues,
  Message,
  type MessageFields,
} from '../src/index.js';
import { pop3Messages } from './samples.js';

const fields: HttpMessageFields = {
  receiver: { ip: '192.0.2.1', port: 80 },
  destination: { ip: '198.51.100.7', port: 40000 },
  direction: 'response',
  statusCode: 200,
  statusText: 'OK',
  httpVersion: '1.1',
  headers: { 'set-cookie': ['a=1', 'b=2'], 'content-type': 'text/plain' },
  body: 'héllo',
  bodySize: 6,
  timestamp: '2025-02-21T12:00:00.000000Z',
  connectionId: '0123456789abcdef',
  exchange: 0,
};

test('APop3MessageHasNothingOfHttp', () => {
  for (const plain of pop3Messages) {
    const message = Message.from(plain);
    assert.equal(message.protocol, 'pop3');
    assert.equal(message.httpVersion, undefined);
    assert.deepEqual(Object.keys(message.headers), []);
    assert.deepEqual(message.toJSON(), plain);
    for (const form of [message, message.toJSON()]) {
      assert.equal(headerOf(form, 'host'), undefined);
      assert.deepEqual(headerValues(form, 'host'), []);
    }
  }
});

const {
  statusCode: _code,
  statusText: _text,
  httpVersion: _version,
  headers: _headers,
  latencyMs: _latency,
  method: _method,
  path: _path,
  rawHeaders: _rawHeaders,
  ...withoutHead
} = fields;
const laterPart: HttpPartFields = { ...withoutHead, part: 2, lastPart: true };

test('ALaterPartHasABodyAndNoHead', () => {
  const line = JSON.stringify(laterPart);
  const message = new Message(Buffer.from(line));
  message.parse();
  assert.equal(message.part, 2);
  assert.equal(message.lastPart, true);
  assert.equal(message.body, 'héllo');
  assert.deepEqual(Object.keys(message.headers), []);
  assert.equal(headerOf(message, 'content-type'), undefined);
  assert.equal(JSON.stringify(message), line);
});

test('TheProtocolTellsTheTypesOfMessagesApart', () => {
  // That this compiles is the test of the types; what it gives, that they tell the truth.
  const told = [fields, laterPart, ...pop3Messages].map((plain: MessageFields): string[] => {
    if (plain.protocol !== undefined) return [plain.status ?? plain.argument ?? ''];
    if (plain.part !== undefined)
      return [`part ${plain.part}`, ...Object.keys(plain.headers ?? {})];
    const version: '0.9' | '1.0' | '1.1' = plain.httpVersion;
    return [version, ...Object.keys(plain.headers)];
  });
  assert.deepEqual(told, [['1.1', 'set-cookie', 'content-type'], ['part 2'], ['anna'], ['+OK']]);
  // @ts-expect-error a message may be of POP3, which has no version
  const version: '0.9' | '1.0' | '1.1' = Message.from(pop3Messages[0]).httpVersion;
  assert.equal(version, undefined);
});

function framed(encoding: 'utf8' | 'binary', body: Buffer): Message {
  const { body: _body, ...header } = fields;
  return new Message(Buffer.from(JSON.stringify({ ...header, bodyEncoding: encoding })), body);
}

test('AMessageOfALineHasItsFieldsAndItsBytes', () => {
  const message = Message.from(fields);
  assert.equal(message.statusCode, 200);
  assert.equal(message.method, undefined);
  assert.equal(message.body, 'héllo');
  assert.deepEqual(message.bodyBuffer, Buffer.from('héllo'));
  assert.equal(message.raw.toString(), JSON.stringify(fields));
  assert.deepEqual(JSON.parse(JSON.stringify(message)), fields);
  assert.equal(message.toLine(), message.raw);
});

test('AFramedMessageGivesTheLineThatNdjsonWouldHave', () => {
  const text = framed('utf8', Buffer.from('héllo'));
  assert.equal(text.body, 'héllo');
  assert.deepEqual(JSON.parse(text.toLine().toString()), fields);
  const binary = framed('binary', Buffer.from([0xff, 0x00]));
  assert.equal(binary.body, undefined);
  assert.deepEqual(binary.bodyBuffer, Buffer.from([0xff, 0x00]));
  const line = JSON.parse(binary.toLine().toString());
  assert.equal(line.bodyEncoding, 'base64');
  assert.equal(line.body, '/wA=');
});

test('HeadersNamedLikeObjectMembersAreHeaders', () => {
  const json = JSON.stringify(fields).replace(
    '"headers":{',
    '"headers":{"__proto__":"p","constructor":"c",',
  );
  const message = new Message(Buffer.from(json));
  assert.equal(Object.getPrototypeOf(message.headers), null);
  assert.equal(headerOf(message, '__proto__'), 'p');
  assert.equal(headerOf(message, 'constructor'), 'c');
  assert.equal(message.headers.tostring, undefined);
  assert.equal(headerOf(message, 'hasOwnProperty'), undefined);
  assert.ok(Object.keys(message.headers).includes('__proto__'));
});

test('HeaderValuesKeepTheirOrder', () => {
  const message = Message.from(fields);
  assert.equal(headerOf(message, 'set-cookie'), 'a=1');
  assert.deepEqual(headerValues(message, 'set-cookie'), ['a=1', 'b=2']);
  assert.deepEqual(headerValues(message, 'content-type'), ['text/plain']);
  assert.deepEqual(headerValues(message, 'absent'), []);
});

test('AMessageIsParsedWhenAFieldIsRead', () => {
  const message = new Message(Buffer.from('{"this is": no JSON}'));
  assert.equal(message.raw.length, 20);
  assert.throws(() => message.direction, SyntaxError);
  assert.throws(() => new Message(Buffer.from('{"headers":1}')).parse(), TypeError);
});

test('ADetachedMessageDoesNotHoldTheReadBuffer', () => {
  const json = Buffer.from(JSON.stringify(fields));
  const slab = Buffer.alloc(1_048_576);
  json.copy(slab);
  const message = new Message(slab.subarray(0, json.length));
  assert.equal(message.statusCode, 200);
  const detached = message.detach();
  assert.notEqual(detached.raw.buffer, slab.buffer);
  assert.deepEqual(detached.toJSON(), message.toJSON());
});

test('AMessageIsShownByItsFields', () => {
  assert.match(inspect(Message.from(fields)), /^Message \{[\s\S]*statusCode: 200/);
});
