// Reads what a command writes, in one of the ways that Node has, and looks at nothing:
// node bench/transport_reader.mjs WAY COMMAND... prints one line of JSON as `transport drain` does.
//
// stream: what child_process gives. onread: a named pipe, polled, into memory of ours. read: the
// named pipe, fs.read of 1 MiB on a thread of the pool. readSync: the same in this thread.

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, read, readSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const pieceSize = 1_048_576;
const [way, command, ...args] = process.argv.slice(2);
let bytes = 0;

function fifo() {
  const directory = mkdtempSync(join(tmpdir(), 'transport-'));
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  const polled = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, constants.O_WRONLY);
  const blocking = openSync(path, constants.O_RDONLY);
  rmSync(directory, { recursive: true });
  return { polled, blocking, writeEnd };
}

const { polled, blocking, writeEnd } = way === 'stream' ? {} : fifo();
const cpuBefore = process.cpuUsage();
const begin = performance.now();
const child = spawn(command, args, { stdio: ['ignore', writeEnd ?? 'pipe', 'ignore'] });
const closed = new Promise((resolve) => child.once('exit', resolve));
if (writeEnd !== undefined) closeSync(writeEnd);

const piece = Buffer.allocUnsafeSlow(pieceSize);
switch (way) {
  case 'stream':
    child.stdout.on('data', (chunk) => {
      bytes += chunk.length;
    });
    await new Promise((resolve) => child.stdout.once('close', resolve));
    break;
  case 'onread': {
    const onread = {
      buffer: piece,
      callback: (size) => {
        bytes += size;
        return true;
      },
    };
    const socket = new Socket({ fd: polled, readable: true, writable: false, onread });
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    break;
  }
  case 'read': {
    const readPiece = promisify(read);
    for (;;) {
      const { bytesRead } = await readPiece(blocking, piece, 0, pieceSize, null);
      if (bytesRead === 0) break;
      bytes += bytesRead;
    }
    break;
  }
  default:
    for (let size = readSync(blocking, piece); size > 0; size = readSync(blocking, piece)) {
      bytes += size;
    }
}
await closed;
const { user, system } = process.cpuUsage(cpuBefore);
const result = { wall: (performance.now() - begin) / 1000, readerCpu: (user + system) / 1e6, bytes };
process.stdout.write(`${JSON.stringify(result)}\n`);
