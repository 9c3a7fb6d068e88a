import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

/** More of an answer is not read. One of `_bulk` has some hundred bytes for each item. */
const answerBytesMax = 16_777_216;

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Kept connections to one receiver. */
export class Poster {
  readonly #url: URL;
  readonly #timeoutMs: number;
  readonly #agent: HttpAgent;

  constructor(url: URL, timeoutMs: number) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
    const Agent = url.protocol === 'https:' ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  /** Resolves with the answer, whatever its status; rejects when there is none. */
  post(
    headers: Readonly<Record<string, string>>,
    body: Buffer,
    signal: AbortSignal,
  ): Promise<Answer> {
    const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: { ...headers, 'content-length': body.length },
        signal,
      });
      const deadline = setTimeout(
        () => outgoing.destroy(new Error(`no answer within ${this.#timeoutMs} ms`)),
        this.#timeoutMs,
      );
      const fail = (error: Error): void => {
        clearTimeout(deadline);
        reject(error);
      };
      outgoing.on('error', fail);
      // A 101 ends without any other event, because nobody here speaks another protocol.
      const onClose = (): void => fail(new Error('the connection was closed without an answer'));
      outgoing.on('close', onClose);
      outgoing.on('response', (response) => {
        outgoing.off('close', onClose);
        const pieces: Buffer[] = [];
        let bytes = 0;
        response.on('data', (piece: Buffer) => {
          bytes += piece.length;
          if (bytes > answerBytesMax) {
            response.destroy(new Error(`an answer of more than ${answerBytesMax} bytes`));
          } else {
            pieces.push(piece);
          }
        });
        response.on('error', fail);
        response.on('close', () => fail(new Error('the answer was cut')));
        response.on('end', () => {
          clearTimeout(deadline);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(pieces).toString('utf8'),
          });
        });
      });
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** How long an answer asks to wait (RFC 9110 section 10.2.3): seconds, or a date. */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
