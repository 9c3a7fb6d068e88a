import assert from 'node:assert/strict';
import test from 'node:test';
import { type Decoder, FrameDecoder, LineDecoder, messagesOfBlock } from '../src/decoder.js';
import { SnifferError } from '../src/errors.js';
import type { Message } from '../src/message.js';

const limit = 1000;

function line(path: string): string {
  return `{"path":"${path}","headers":{}}`;
}

function frame(json: string, body: Buffer): Buffer {
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(Buffer.byteLength(json), 0);
  sizes.writeUInt32LE(body.length, 4);
  return Buffer.concat([sizes, Buffer.from(json), body]);
}

function noMalformed(bytes: Buffer, reason: string): never {
  assert.fail(`malformed: ${reason}: ${bytes}`);
}

function drain(decoder: Decoder): Message[] {
  const out: Message[] = [];
  for (let message = decoder.next(); message !== null; message = decoder.next()) out.push(message);
  return out;
}

/** Feeds `bytes` cut at `cuts`, from one buffer or each piece in memory of its own. */
function feed(decoder: Decoder, bytes: Buffer, cuts: number[], inPlace: boolean): Message[] {
  const out: Message[] = [];
  let begin = 0;
  for (const end of [...cuts, bytes.length]) {
    const piece = bytes.subarray(begin, end);
    decoder.push(inPlace ? piece : Buffer.from(Uint8Array.from(piece).buffer));
    out.push(...drain(decoder));
    begin = end;
  }
  decoder.end();
  return out;
}

test('LinesComeOutWholeWhereverTheReadsAreCut', () => {
  const bytes = Buffer.from(`${line('/a')}\n${line('/bé')}\n\n${line('/c')}\n`);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 3) {
      for (const inPlace of [true, false]) {
        const decoder = new LineDecoder(limit, noMalformed);
        const paths = feed(decoder, bytes, [first, second], inPlace).map(({ path }) => path);
        assert.deepEqual(paths, ['/a', '/bé', '/c'], `cut at ${first} and ${second}`);
      }
    }
  }
});

test('FramesComeOutWholeWhereverTheReadsAreCut', () => {
  const bodies = [Buffer.from('hello'), Buffer.alloc(0), Buffer.from([0xff, 0x0a, 0x00])];
  const frames = bodies.map((body, i) => frame(line(`/${i}`), body));
  const bytes = Buffer.concat([Buffer.from('TCPSNIF1'), ...frames]);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 5) {
      for (const inPlace of [true, false]) {
        const decoder = new FrameDecoder(limit, noMalformed);
        const messages = feed(decoder, bytes, [first, second], inPlace);
        assert.deepEqual(
          messages.map(({ path }) => path),
          ['/0', '/1', '/2'],
        );
        assert.deepEqual(
          messages.map(({ bodyBuffer }) => bodyBuffer),
          bodies,
        );
      }
    }
  }
});

test('AMessageInsideOneReadIsNotCopied', () => {
  const bytes = Buffer.concat([Buffer.from('TCPSNIF1'), frame(line('/a'), Buffer.from('body'))]);
  const decoder = new FrameDecoder(limit, noMalformed);
  decoder.push(bytes);
  const [message] = drain(decoder);
  assert.equal(message?.bodyBuffer.buffer, bytes.buffer);
});

test('ALineThatIsNoObjectIsReportedAndTheNextIsRead', () => {
  const faults: string[] = [];
  const decoder = new LineDecoder(limit, (bytes, reason) => faults.push(`${reason}: ${bytes}`));
  decoder.push(Buffer.from(`${line('/a')}\nSegmentation fault\n${line('/b')}\n`));
  assert.deepEqual(
    drain(decoder).map(({ path }) => path),
    ['/a', '/b'],
  );
  assert.deepEqual(faults, ['not a JSON object: Segmentation fault']);
});

test('ALineWithoutEndIsForgottenAtTheLimit', () => {
  const faults: string[] = [];
  const decoder = new LineDecoder(limit, (_bytes, reason) => faults.push(reason));
  for (let i = 0; i < 100; i += 1) {
    decoder.push(Buffer.from(Uint8Array.from(Buffer.alloc(50, 0x7b)).buffer));
    assert.equal(decoder.next(), null);
    assert.ok(decoder.pendingBytes <= limit + 50);
  }
  decoder.push(Buffer.from(`}\n${line('/after')}\n`));
  assert.deepEqual(
    drain(decoder).map(({ path }) => path),
    ['/after'],
  );
  assert.deepEqual(faults, ['longer than 1000 bytes']);
});

test('AMessageCutByTheEndIsReported', () => {
  for (const Reader of [LineDecoder, FrameDecoder]) {
    const faults: string[] = [];
    const decoder = new Reader(limit, (_bytes, reason) => faults.push(reason));
    const whole =
      Reader === LineDecoder
        ? Buffer.from(`${line('/a')}\n`)
        : Buffer.concat([Buffer.from('TCPSNIF1'), frame(line('/a'), Buffer.from('b'))]);
    decoder.push(Buffer.concat([whole, Buffer.from('{"pa')]));
    assert.equal(drain(decoder).length, 1);
    decoder.end();
    assert.deepEqual(faults, ['cut at the end']);
  }
});

test('AFrameThatCanNotBeIsCorruptOutput', () => {
  const isCorrupt = (error: unknown): boolean =>
    error instanceof SnifferError && error.code === 'OUTPUT_CORRUPT';
  const wrongMagic = new FrameDecoder(limit, noMalformed);
  wrongMagic.push(Buffer.from('{"path":'));
  assert.throws(() => wrongMagic.next(), isCorrupt);
  const wrongSize = new FrameDecoder(limit, noMalformed);
  wrongSize.push(Buffer.from('TCPSNIF1\xff\xff\xff\xff\x00\x00\x00\x00', 'latin1'));
  assert.throws(() => wrongSize.next(), isCorrupt);
});

test('BlocksHoldTheSameMessages', () => {
  const paths = Array.from({ length: 50 }, (_, i) => `/${i}`);
  const inputs = {
    ndjson: Buffer.from(paths.map((path) => `${line(path)}\n`).join('')),
    framed: Buffer.concat([
      Buffer.from('TCPSNIF1'),
      ...paths.map((path) => frame(line(path), Buffer.from(path))),
    ]),
  };
  for (const format of ['ndjson', 'framed'] as const) {
    for (const pieceSize of [1, 7, 100, 333, 100_000]) {
      for (const inPlace of [true, false]) {
        const Reader = format === 'ndjson' ? LineDecoder : FrameDecoder;
        const decoder = new Reader(limit, noMalformed);
        const seen: (string | undefined)[] = [];
        for (let at = 0; at < inputs[format].length; at += pieceSize) {
          const piece = inputs[format].subarray(at, at + pieceSize);
          decoder.push(inPlace ? piece : Buffer.from(Uint8Array.from(piece).buffer));
          const block = decoder.nextBlock();
          if (block === null) continue;
          for (const message of messagesOfBlock(block, format, noMalformed)) {
            seen.push(message.path);
          }
        }
        decoder.end();
        assert.deepEqual(seen, paths, `${format} in pieces of ${pieceSize}`);
      }
    }
  }
});
