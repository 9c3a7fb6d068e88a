// The Node servers of the recordings:
//   127.0.0.1:3000  the shop's API, behind nginx
//   [::]:8080       node:http: chunks, trailers, gzip, early hints, WebSocket, no-body statuses
//   [::]:8081       a hand-written server: chunk extensions, which no common server sends
//   [::]:3128       a forward proxy with CONNECT
//   127.0.0.1:9000  the opaque service behind the proxy: answers each byte with its complement
import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createGzip } from 'node:zlib';

const products = [
  { id: 3, name: 'Café crème – Hausmischung', price: 7.9 },
  { id: 1, name: 'Yirgacheffe', price: 9.5, origin: 'Ethiopia' },
  { id: 2, name: 'Antigua 火山', price: 11.2, origin: 'Guatemala' },
];

async function readBody(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

function sendJson(response, status, value, headers = {}) {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

async function serveApi(request, response) {
  const body = await readBody(request);
  const { pathname } = new URL(request.url, 'http://api');
  const route = `${request.method} ${pathname}`;
  if (route === 'GET /api/products') return sendJson(response, 200, products);
  if (route === 'POST /api/login') {
    const cookies = ['session=8f14e45f; Path=/; HttpOnly', 'theme=sea; Path=/; Max-Age=31536000'];
    return sendJson(response, 200, { user: 'ada', welcome: 'Schön, dass du da bist ☕' }, {
      'Set-Cookie': cookies,
    });
  }
  if (route === 'POST /api/cart') {
    return sendJson(response, 201, { cart: 17, ...JSON.parse(body) }, { Location: '/api/cart/17' });
  }
  if (route === 'PATCH /api/cart/17') return sendJson(response, 200, { cart: 17, quantity: 3 });
  if (route === 'DELETE /api/cart/17/items/2') return response.writeHead(204).end();
  if (route === 'POST /api/upload' || route === 'PUT /api/upload') {
    const sha256 = createHash('sha256').update(body).digest('hex');
    return sendJson(response, 201, { bytes: body.length, sha256 });
  }
  return sendJson(response, 404, { error: 'not found', path: pathname });
}

async function serveNode(request, response) {
  const body = await readBody(request);
  switch (new URL(request.url, 'http://node').pathname) {
    case '/stream':
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      for (let event = 1; event <= 5; ++event) {
        response.write(`id: ${event}\ndata: tide ${event * 10} cm\n\n`);
        await pause(15);
      }
      return response.end();
    case '/v1/chat/completions': {
      const answer = 'High water is at six in the evening; at low water – half past noon – you can walk to the island 🌊.';
      response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
      for (const content of answer.match(/\S+\s*/gu)) {
        const delta = { id: 'chat-17', choices: [{ index: 0, delta: { content } }] };
        response.write(`data: ${JSON.stringify(delta)}\n\n`);
        await pause(40);
      }
      return response.end('data: [DONE]\n\n');
    }
    case '/trailers':
      response.writeHead(200, { 'Content-Type': 'text/plain', Trailer: 'Content-MD5, X-Lines' });
      for (let line = 1; line <= 40; ++line) response.write(`line ${line} of the log\n`);
      response.addTrailers({ 'Content-MD5': 'Q2hlY2sgSW50ZWdyaXR5IQ==', 'X-Lines': '40' });
      return response.end();
    case '/gzip': {
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' });
      const gzip = createGzip();
      gzip.pipe(response);
      for (let line = 0; line < 500; ++line) gzip.write(`${line}: ${Math.sqrt(line)}\n`);
      return gzip.end();
    }
    case '/hints':
      response.writeEarlyHints({ link: ['</style.css>; rel=preload; as=style'] });
      await pause(10);
      return response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 5 })
        .end('later');
    case '/not-modified':  // with the length of the body that is not sent
      return response.writeHead(304, { ETag: '"tide-7"', 'Content-Length': 1234 }).end();
    case '/no-content':
      return response.writeHead(204).end();
    case '/echo':
      return sendJson(response, 200, { bytes: body.length, trailers: request.trailers });
    default:
      return response.writeHead(404, { 'Content-Type': 'text/plain' }).end('nothing here\n');
  }
}

function websocketFrame(opcode, payload) {
  return Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]);
}

function upgrade(request, socket) {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = createHash('sha1').update(key).digest('base64');
  const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`;
  // The first frame leaves in the same segment as the 101.
  socket.write(Buffer.concat([Buffer.from(head), websocketFrame(1, Buffer.from('ahoy'))]));
  socket.on('data', (masked) => {
    const payload = Buffer.from(masked.subarray(6));
    for (let i = 0; i < payload.length; ++i) payload[i] ^= masked[2 + (i % 4)];
    const opcode = masked[0] & 0x0f;
    socket.write(websocketFrame(opcode === 9 ? 10 : opcode, payload));
    if (opcode === 8) socket.end();
  });
}

function serveExtensions(socket) {
  socket.once('data', () => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n' +
      'Connection: close\r\n\r\n' +
      '6;signature="a;b";last\r\nchunk \r\n00A ; name = value\r\nextensions\r\n0;end\r\n\r\n');
  });
  socket.on('error', () => {});
}

function openTunnel(socket, head) {
  const upstream = net.connect(9000, '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
}

function proxyConnect(request, socket, head) {
  const refuse = (status, headers, text) => socket.write(
    `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${text.length}\r\n\r\n${text}`);
  if (request.url !== 'opaque.example:9000') {
    refuse('403 Forbidden', '', 'only opaque.example:9000\n');
    return socket.end();
  }
  if (request.headers['proxy-authorization']) return openTunnel(socket, head);
  // No tunnel yet: the next CONNECT comes on the same connection.
  refuse('407 Proxy Authentication Required', 'Proxy-Authenticate: Basic realm="sea"\r\n',
    'who?\n');
  return socket.once('data', () => openTunnel(socket, Buffer.alloc(0)));
}

// A forwarded request keeps the absolute form on the client's side.
function proxyRequest(request, response) {
  const { pathname } = new URL(request.url);
  http.get({ host: '127.0.0.1', port: 80, path: pathname }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
}

http.createServer(serveApi).listen(3000, '127.0.0.1');
http.createServer(serveNode)
  .on('upgrade', upgrade)
  .on('checkContinue', (request, response) => {
    // Answers without "100 Continue": the client never sends the body it announced.
    response.writeHead(413, { 'Content-Length': 0, Connection: 'close' }).end();
  })
  .listen(8080);
net.createServer(serveExtensions).listen(8081);
http.createServer(proxyRequest).on('connect', proxyConnect).listen(3128);
net.createServer((socket) => {
  socket.on('data', (bytes) => socket.write(bytes.map((byte) => byte ^ 0xff)));
  socket.on('end', () => socket.end());
}).listen(9000, '127.0.0.1');
