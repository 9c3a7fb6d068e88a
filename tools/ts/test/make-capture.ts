import { closeSync, openSync, writeSync } from 'node:fs';

export interface CaptureOptions {
  exchanges: number;
  connections: number;
  /** Of each response; below the size of a segment. */
  bodyBytes: number;
}

const ethernetSize = 14;
const ipSize = 20;
const tcpSize = 20;
const headersSize = ethernetSize + ipSize + tcpSize;
const flagsSyn = 0x02;
const flagsAck = 0x10;
const flagsFin = 0x01;
const flagsPush = 0x08;

/** One connection's next sequence numbers, and its addresses. */
class Connection {
  readonly #number: number;
  #client = 1000;
  #server = 5000;

  constructor(number: number) {
    this.#number = number;
  }

  /** A frame from one side; the side's sequence number moves on. */
  frame(fromClient: boolean, flags: number, payload: string): Buffer {
    const frame = Buffer.alloc(headersSize + payload.length);
    frame.writeUInt16BE(0x0800, 12);
    const ip = ethernetSize;
    frame[ip] = 0x45;
    frame.writeUInt16BE(ipSize + tcpSize + payload.length, ip + 2);
    frame[ip + 8] = 64;
    frame[ip + 9] = 6;
    const clientAddress = 0x0a000000 + Math.floor(this.#number / 50_000) + 2;
    const clientPort = 10_000 + (this.#number % 50_000);
    const serverAddress = 0xc0000201;
    frame.writeUInt32BE(fromClient ? clientAddress : serverAddress, ip + 12);
    frame.writeUInt32BE(fromClient ? serverAddress : clientAddress, ip + 16);
    const tcp = ip + ipSize;
    frame.writeUInt16BE(fromClient ? clientPort : 80, tcp);
    frame.writeUInt16BE(fromClient ? 80 : clientPort, tcp + 2);
    frame.writeUInt32BE(fromClient ? this.#client : this.#server, tcp + 4);
    if (flags & flagsAck) {
      frame.writeUInt32BE(fromClient ? this.#server : this.#client, tcp + 8);
    }
    frame[tcp + 12] = (tcpSize / 4) << 4;
    frame[tcp + 13] = flags;
    frame.writeUInt16BE(65_535, tcp + 14);
    frame.write(payload, headersSize, 'latin1');
    const taken = payload.length + (flags & (flagsSyn | flagsFin) ? 1 : 0);
    if (fromClient) this.#client += taken;
    else this.#server += taken;
    return frame;
  }
}

/** A pcap under way; frames are 10 µs apart. */
class CaptureFile {
  readonly #fd: number;
  #pieces: Buffer[];
  #microseconds = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'w');
    const header = Buffer.alloc(24);
    header.writeUInt32LE(0xa1b2c3d4, 0);
    header.writeUInt16LE(2, 4);
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(262_144, 16);
    header.writeUInt32LE(1, 20);
    this.#pieces = [header];
  }

  put(frame: Buffer): void {
    const record = Buffer.alloc(16);
    this.#microseconds += 10;
    record.writeUInt32LE(1_740_139_200 + Math.floor(this.#microseconds / 1e6), 0);
    record.writeUInt32LE(this.#microseconds % 1e6, 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    this.#pieces.push(record, frame);
    if (this.#pieces.length >= 4096) this.#flush();
  }

  #flush(): void {
    writeSync(this.#fd, Buffer.concat(this.#pieces));
    this.#pieces = [];
  }

  open(connection: Connection): void {
    this.put(connection.frame(true, flagsSyn, ''));
    this.put(connection.frame(false, flagsSyn | flagsAck, ''));
    this.put(connection.frame(true, flagsAck, ''));
  }

  end(connection: Connection): void {
    this.put(connection.frame(true, flagsFin | flagsAck, ''));
    this.put(connection.frame(false, flagsFin | flagsAck, ''));
    this.put(connection.frame(true, flagsAck, ''));
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }
}

/** Writes a pcap of one connection: who speaks, and what. */
export function makeConversation(path: string, turns: ['client' | 'server', string][]): void {
  const file = new CaptureFile(path);
  const connection = new Connection(0);
  file.open(connection);
  for (const [side, payload] of turns) {
    file.put(connection.frame(side === 'client', flagsAck | flagsPush, payload));
  }
  file.end(connection);
  file.close();
}

/** Writes a pcap of keep-alive connections, side by side, whose exchanges are numbered in their
 * paths: `/CONNECTION/EXCHANGE`. */
export function makeCapture(path: string, options: CaptureOptions): void {
  const { exchanges, connections, bodyBytes } = options;
  const file = new CaptureFile(path);
  const all = Array.from({ length: connections }, (_, i) => new Connection(i));
  for (const connection of all) file.open(connection);
  const body = 'x'.repeat(bodyBytes);
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bodyBytes}\r\n\r\n${body}`;
  for (let i = 0; i < exchanges; i += 1) {
    const connection = all[i % connections] as Connection;
    const path = `/${i % connections}/${Math.floor(i / connections)}`;
    const request = `GET ${path} HTTP/1.1\r\nHost: example.test\r\nAccept: */*\r\n\r\n`;
    file.put(connection.frame(true, flagsAck | flagsPush, request));
    file.put(connection.frame(false, flagsAck | flagsPush, answer));
  }
  for (const connection of all) file.end(connection);
  file.close();
}
