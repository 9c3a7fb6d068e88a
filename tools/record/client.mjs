// The clients of the recordings that curl cannot be: client.mjs SCENE HOST [PORT]
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const [scene, host, portText] = process.argv.slice(2);
const port = Number(portText ?? 80);

async function open() {
  const socket = net.connect({ host, port, noDelay: true });
  socket.on('error', (error) => { throw error; });
  await once(socket, 'connect');
  return socket;
}

function request(line, headers = [], body = '') {
  const all = [`Host: ${host}`, 'User-Agent: pipeliner/1.0', ...headers];
  if (body) all.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return `${line} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n${body}`;
}

const scenes = {
  // Nine requests in one write; among them those whose responses have no body.
  async pipeline() {
    const socket = await open();
    socket.resume();
    const json = ['Content-Type: application/json'];
    socket.write([
      request('GET /'),
      request('HEAD /style.css'),
      request('GET /style.css'),
      request('GET /style.css', ['If-Modified-Since: Wed, 01 Jan 2025 00:00:00 GMT']),
      request('POST /api/cart', json, '{"product":2,"quantity":1}'),
      request('DELETE /api/cart/17/items/2'),
      request('GET /missing.html'),
      request('HEAD /missing.html'),
      request('GET /app.js', ['Connection: close']),
    ].join(''));
    await once(socket, 'close');
  },

  // Requests cut at awkward places: in the method, in a header's name, between CR and LF.
  async split() {
    const socket = await open();
    socket.resume();
    const closed = once(socket, 'close');
    const text = request('GET /stream') + request('POST /echo', [], 'one two three four') +
      request('GET /nothing', ['X-Long-Header: tide', 'Connection: close']);
    const cr = text.indexOf('\r\n');
    const cuts = [2, cr + 1, cr + 9, text.indexOf('POST') + 3, text.indexOf('two') + 1,
      text.indexOf('four') + 2, text.indexOf('X-Long') + 4, text.length - 3, text.length - 1];
    let from = 0;
    for (const to of [...cuts, text.length]) {
      socket.write(text.slice(from, to));
      await pause(12);
      from = to;
    }
    await closed;
  },

  // A chunked request with trailers.
  async trailers() {
    const upload = http.request({
      host, port, method: 'POST', path: '/echo', agent: false,
      headers: { 'Content-Type': 'text/plain', Trailer: 'X-Checksum' },
    });
    for (let part = 1; part <= 4; ++part) {
      upload.write(`part ${part} of the upload\n`);
      await pause(10);
    }
    upload.addTrailers({ 'X-Checksum': '7f83b165' });
    upload.end();
    const [response] = await once(upload, 'response');
    response.resume();
    await once(response, 'end');
  },

  async websocket() {
    const socket = await open();
    socket.write(request('GET /tide', ['Upgrade: websocket', 'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Version: 13']));
    await once(socket, 'data');
    const frames = [[1, Buffer.from('hello')], [2, randomBytes(90)], [9, Buffer.from('ping')],
      [1, Buffer.from('GET / HTTP/1.1\r\nHost: not-a-request\r\n\r\n')],
      [8, Buffer.from([0x03, 0xe8])]];
    for (const [opcode, payload] of frames) {
      const mask = randomBytes(4);
      const masked = payload.map((byte, i) => byte ^ mask[i % 4]);
      const answer = once(socket, 'data');
      socket.write(Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask,
        masked]));
      await answer;
    }
    socket.end();
    await once(socket, 'close');
  },

  async connect() {
    const refused = await open();
    refused.resume();
    refused.write('CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n');
    await once(refused, 'close');

    const socket = await open();
    const connect = 'CONNECT opaque.example:9000 HTTP/1.1\r\nHost: opaque.example:9000\r\n';
    for (const headers of ['', 'Proxy-Authorization: Basic c2VhOmd1bGw=\r\n']) {
      socket.write(`${connect}${headers}\r\n`);
      await once(socket, 'data');
    }
    for (const bytes of [200, 3000, 40]) {
      const answer = once(socket, 'data');
      socket.write(randomBytes(bytes));
      await answer;
      await pause(10);
    }
    socket.end();
    socket.resume();
    await once(socket, 'close');
  },
};

await scenes[scene]();
