// Written by scripts/generate.mjs from tools/schema; change the schemas and run `npm run generate`.

export interface Endpoint {
  ip: string;
  port: number;
}

export interface Proxied {
  /** The client. */
  source: Endpoint;
  /** Where the client connected to. */
  destination: Endpoint;
  /** The client spoke TLS with the proxy. */
  tls?: true;
}

/** Names in lower case. An array, in order, when a name occurs more than once. */
export type Headers = Record<string, string | string[]>;

/** What the messages of all protocols share. */
export interface CommonMessageFields {
  /** The side whose port is in ports, else the side that got the SYN, the first request, or sent the first response. */
  receiver: Endpoint;
  /** The other side. */
  destination: Endpoint;
  /** Connections that began with a PROXY protocol header: between whom the connection really is. */
  proxied?: Proxied;
  direction: 'request' | 'response';
  /** With trustedProxies or clientHeader, or where select or a condition names it: the client's real address. */
  client?: string;
  /** The last part. bodySize, durationMs and incomplete are those of the whole message. */
  lastPart?: true;
  /** The body when it is UTF-8, base64 text with binaryBody base64; absent with maxBodySize 0. */
  body?: string;
  /** Body bytes were captured and left out because of maxBodySize. */
  bodyTruncated?: true;
  /** With redactBody or redactPattern: the body could not be searched for what is to be hidden, so it is left out. */
  bodyRedacted?: 'unreadable';
  /** binary: not UTF-8 and left out; base64: body is base64 text. The framed form says utf8 or binary. */
  bodyEncoding?: 'binary' | 'base64' | 'utf8';
  /** Bytes of the body as sent, after de-chunking, missing bytes included. */
  bodySize: number;
  /** With decodeBodies, redactBody or redactPattern: the content codings that were undone, as in gzip or deflate, gzip. Sizes and gaps are those of the body as sent. */
  contentDecoded?: string;
  /** Why a coded body was not decoded to its end; body is what came of it, or as sent when nothing did. */
  contentDecodeError?: 'truncated' | 'corrupt' | 'limit';
  /** UTC, microseconds: the packet that brought the message's first byte. */
  timestamp: string;
  /** First byte to last byte. */
  durationMs?: number;
  connectionId: string;
  /** Number of the exchange in its connection; a response has its request's, or none when that is not known. */
  exchange?: number;
  /** Only when bytes are missing: why. */
  incomplete?: 'gap' | 'closed' | 'evicted' | 'idle' | 'shutdown' | 'snaplen' | 'limit' | 'parseError';
  missingBytes?: number;
  /** Where the body's missing bytes are: offset and length. */
  bodyGaps?: [number, number][];
  headersIncomplete?: true;
  /** The message was found by searching after a loss. */
  afterGap?: true;
  /** What RFC 9112 does not allow and was read nevertheless, in this order. */
  anomalies?: ('leadingBlanks' | 'startLineBlanks' | 'target' | 'version' | 'status' | 'http09' | 'bareLf' | 'bareCr' | 'obsFold' | 'blankBeforeColon' | 'fieldName' | 'noColon' | 'lengthAndCoding' | 'differentLengths' | 'repeatedLength' | 'invalidLength' | 'transferCoding' | 'chunkLine')[];
  /** Fields that were not UTF-8, and those whose names are not ASCII beside one whose name is not UTF-8: each byte is written as U+00XX. */
  latin1?: string[];
  /** fields extended. */
  interface?: string;
  /** fields extended, files: from 1. */
  firstFrame?: number;
  /** fields extended, files: from 1. */
  lastFrame?: number;
  /** fields extended. */
  headersSize?: number;
  /** fields extended. */
  vlan?: number | number[];
  /** fields extended: version 1. */
  communityId?: string;
  /** fields extended: SYN to ACK. */
  connectMs?: number;
}

/** An HTTP message, or its first part, as a plain object: a line of the engine, parsed. */
export interface HttpMessageFields extends CommonMessageFields {
  protocol?: undefined;
  /** With partialAfterMs: the message is written in parts, and this is the number of this one. body and bodyGaps are its own, and bodySize is where it ends. From 2 on a part has no start line and no headers. */
  part?: 1;
  /** Requests. POP3: the command; "[redacted]" for a line that is none and may be a credential. */
  method?: string;
  /** HTTP requests: the request target as sent. */
  path?: string;
  argument?: undefined;
  /** HTTP responses, but for one whose status is no number and for the answer of HTTP/0.9. */
  statusCode?: number;
  status?: undefined;
  /** Responses. */
  statusText?: string;
  /** HTTP; POP3 has none. The version as which the message was read. */
  httpVersion: '0.9' | '1.0' | '1.1';
  /** HTTP; POP3 has none. */
  headers: Headers;
  /** With rawHeaders: name and value as sent, in order. */
  rawHeaders?: [string, string][];
  trailers?: Headers;
  /** Responses with a known request: request's last byte to response's first byte. May be negative. */
  latencyMs?: number;
}

/** A later part of an HTTP message, without its head, as a plain object: a line of the engine, parsed. */
export interface HttpPartFields extends CommonMessageFields {
  protocol?: undefined;
  /** With partialAfterMs: the message is written in parts, and this is the number of this one. body and bodyGaps are its own, and bodySize is where it ends. From 2 on a part has no start line and no headers. */
  part: number;
  method?: undefined;
  path?: undefined;
  argument?: undefined;
  statusCode?: undefined;
  status?: undefined;
  statusText?: undefined;
  httpVersion?: undefined;
  headers?: undefined;
  rawHeaders?: undefined;
  trailers?: Headers;
  latencyMs?: undefined;
}

/** A POP3 message as a plain object: a line of the engine, parsed. */
export interface Pop3MessageFields extends CommonMessageFields {
  protocol: 'pop3';
  part?: undefined;
  /** Requests. POP3: the command; "[redacted]" for a line that is none and may be a credential. */
  method?: string;
  path?: undefined;
  /** POP3 requests: what follows the command, as sent; of a password "[redacted]". */
  argument?: string;
  statusCode?: undefined;
  /** POP3 responses. */
  status?: '+OK' | '-ERR' | '+';
  /** Responses. */
  statusText?: string;
  httpVersion?: undefined;
  headers?: undefined;
  rawHeaders?: undefined;
  trailers?: undefined;
  /** Responses with a known request: request's last byte to response's first byte. May be negative. */
  latencyMs?: number;
}

/** One message as a plain object. Where `protocol` is undefined it is of HTTP, and where `part` is so
 * as well it is whole. */
export type MessageFields = HttpMessageFields | HttpPartFields | Pop3MessageFields;

/** The request of an exchange: what is its own. */
export interface ExchangeRequest {
  method: string;
  path?: string;
  argument?: string;
  httpVersion?: '0.9' | '1.0' | '1.1';
  headers?: Headers;
  rawHeaders?: [string, string][];
  trailers?: Headers;
  body?: string;
  bodyTruncated?: true;
  bodyRedacted?: 'unreadable';
  bodyEncoding?: 'binary' | 'base64' | 'utf8';
  bodySize: number;
  contentDecoded?: string;
  contentDecodeError?: 'truncated' | 'corrupt' | 'limit';
  durationMs: number;
  incomplete?: 'gap' | 'closed' | 'evicted' | 'idle' | 'shutdown' | 'snaplen' | 'limit' | 'parseError';
  missingBytes?: number;
  bodyGaps?: [number, number][];
  headersIncomplete?: true;
  afterGap?: true;
  anomalies?: ('leadingBlanks' | 'startLineBlanks' | 'target' | 'version' | 'status' | 'http09' | 'bareLf' | 'bareCr' | 'obsFold' | 'blankBeforeColon' | 'fieldName' | 'noColon' | 'lengthAndCoding' | 'differentLengths' | 'repeatedLength' | 'invalidLength' | 'transferCoding' | 'chunkLine')[];
  latin1?: string[];
  firstFrame?: number;
  lastFrame?: number;
  headersSize?: number;
  /** The framed form: how many of the bytes behind the JSON are of this body. */
  bodyBytes?: number;
}

/** A response of an exchange: what is its own. latencyMs: interim ones only. */
export interface ExchangeResponse {
  timestamp: string;
  statusCode?: number;
  status?: '+OK' | '-ERR' | '+';
  statusText: string;
  httpVersion?: '0.9' | '1.0' | '1.1';
  headers?: Headers;
  rawHeaders?: [string, string][];
  trailers?: Headers;
  body?: string;
  bodyTruncated?: true;
  bodyRedacted?: 'unreadable';
  bodyEncoding?: 'binary' | 'base64' | 'utf8';
  bodySize: number;
  contentDecoded?: string;
  contentDecodeError?: 'truncated' | 'corrupt' | 'limit';
  durationMs: number;
  incomplete?: 'gap' | 'closed' | 'evicted' | 'idle' | 'shutdown' | 'snaplen' | 'limit' | 'parseError';
  missingBytes?: number;
  bodyGaps?: [number, number][];
  headersIncomplete?: true;
  afterGap?: true;
  anomalies?: ('leadingBlanks' | 'startLineBlanks' | 'target' | 'version' | 'status' | 'http09' | 'bareLf' | 'bareCr' | 'obsFold' | 'blankBeforeColon' | 'fieldName' | 'noColon' | 'lengthAndCoding' | 'differentLengths' | 'repeatedLength' | 'invalidLength' | 'transferCoding' | 'chunkLine')[];
  latin1?: string[];
  /** fields extended, when it is not that of the requests. */
  interface?: string;
  firstFrame?: number;
  lastFrame?: number;
  headersSize?: number;
  latencyMs?: number;
  /** The framed form: how many of the bytes behind the JSON are of this body. */
  bodyBytes?: number;
}

/** What the lines of all exchanges have in common. */
export interface CommonExchangeFields {
  timestamp: string;
  connectionId: string;
  exchange?: number;
  receiver: Endpoint;
  destination: Endpoint;
  proxied?: Proxied;
  client?: string;
  /** The request's last byte to the response's first. May be negative. */
  latencyMs?: number;
  /** The request's first byte to the response's last. */
  totalMs?: number;
  /** Why the other half is not known. limit: it is a line of its own. */
  orphanCause?: 'gap' | 'closed' | 'evicted' | 'idle' | 'shutdown' | 'limit';
  interface?: string;
  vlan?: number | number[];
  communityId?: string;
  connectMs?: number;
  latin1?: string[];
}

/** An exchange as a plain object: a line with records exchange, parsed. Without `orphan` it has both
 * halves; only POP3's greeting is a response that answers nothing. */
export type ExchangeFields = CommonExchangeFields &
  (
    | {
        protocol?: undefined;
        orphan?: undefined;
        request: ExchangeRequest;
        interim?: ExchangeResponse[];
        response: ExchangeResponse;
      }
    | {
        protocol: 'pop3';
        orphan?: undefined;
        request?: ExchangeRequest;
        interim?: undefined;
        response: ExchangeResponse;
      }
    | {
        protocol?: 'pop3';
        orphan: 'responseNotCaptured' | 'noResponse';
        request: ExchangeRequest;
        interim?: ExchangeResponse[];
        response?: undefined;
      }
    | {
        protocol?: 'pop3';
        orphan: 'requestNotCaptured';
        request?: undefined;
        interim?: ExchangeResponse[];
        response?: ExchangeResponse;
      }
  );

/** The fields of a message as getters; what stands behind them is the subclass’s business. */
export abstract class MessageView {
  protected abstract fields(): MessageFields;

  /** The side whose port is in ports, else the side that got the SYN, the first request, or sent the first response. */
  get receiver(): Endpoint {
    return this.fields().receiver;
  }

  /** The other side. */
  get destination(): Endpoint {
    return this.fields().destination;
  }

  /** Connections that began with a PROXY protocol header: between whom the connection really is. */
  get proxied(): Proxied | undefined {
    return this.fields().proxied;
  }

  get direction(): 'request' | 'response' {
    return this.fields().direction;
  }

  /** Absent for HTTP. */
  get protocol(): 'pop3' | undefined {
    return this.fields().protocol;
  }

  /** With trustedProxies or clientHeader, or where select or a condition names it: the client's real address. */
  get client(): string | undefined {
    return this.fields().client;
  }

  /** With partialAfterMs: the message is written in parts, and this is the number of this one. body and bodyGaps are its own, and bodySize is where it ends. From 2 on a part has no start line and no headers. */
  get part(): number | undefined {
    return this.fields().part;
  }

  /** The last part. bodySize, durationMs and incomplete are those of the whole message. */
  get lastPart(): true | undefined {
    return this.fields().lastPart;
  }

  /** Requests. POP3: the command; "[redacted]" for a line that is none and may be a credential. */
  get method(): string | undefined {
    return this.fields().method;
  }

  /** HTTP requests: the request target as sent. */
  get path(): string | undefined {
    return this.fields().path;
  }

  /** POP3 requests: what follows the command, as sent; of a password "[redacted]". */
  get argument(): string | undefined {
    return this.fields().argument;
  }

  /** HTTP responses, but for one whose status is no number and for the answer of HTTP/0.9. */
  get statusCode(): number | undefined {
    return this.fields().statusCode;
  }

  /** POP3 responses. */
  get status(): '+OK' | '-ERR' | '+' | undefined {
    return this.fields().status;
  }

  /** Responses. */
  get statusText(): string | undefined {
    return this.fields().statusText;
  }

  /** HTTP; POP3 has none. The version as which the message was read. */
  get httpVersion(): '0.9' | '1.0' | '1.1' | undefined {
    return this.fields().httpVersion;
  }

  /** HTTP; POP3 has none. */
  get headers(): Headers | undefined {
    return this.fields().headers;
  }

  /** With rawHeaders: name and value as sent, in order. */
  get rawHeaders(): [string, string][] | undefined {
    return this.fields().rawHeaders;
  }

  get trailers(): Headers | undefined {
    return this.fields().trailers;
  }

  /** Body bytes were captured and left out because of maxBodySize. */
  get bodyTruncated(): true | undefined {
    return this.fields().bodyTruncated;
  }

  /** With redactBody or redactPattern: the body could not be searched for what is to be hidden, so it is left out. */
  get bodyRedacted(): 'unreadable' | undefined {
    return this.fields().bodyRedacted;
  }

  /** Bytes of the body as sent, after de-chunking, missing bytes included. */
  get bodySize(): number {
    return this.fields().bodySize;
  }

  /** With decodeBodies, redactBody or redactPattern: the content codings that were undone, as in gzip or deflate, gzip. Sizes and gaps are those of the body as sent. */
  get contentDecoded(): string | undefined {
    return this.fields().contentDecoded;
  }

  /** Why a coded body was not decoded to its end; body is what came of it, or as sent when nothing did. */
  get contentDecodeError(): 'truncated' | 'corrupt' | 'limit' | undefined {
    return this.fields().contentDecodeError;
  }

  /** UTC, microseconds: the packet that brought the message's first byte. */
  get timestamp(): string {
    return this.fields().timestamp;
  }

  /** First byte to last byte. */
  get durationMs(): number | undefined {
    return this.fields().durationMs;
  }

  get connectionId(): string {
    return this.fields().connectionId;
  }

  /** Number of the exchange in its connection; a response has its request's, or none when that is not known. */
  get exchange(): number | undefined {
    return this.fields().exchange;
  }

  /** Responses with a known request: request's last byte to response's first byte. May be negative. */
  get latencyMs(): number | undefined {
    return this.fields().latencyMs;
  }

  /** Only when bytes are missing: why. */
  get incomplete(): 'gap' | 'closed' | 'evicted' | 'idle' | 'shutdown' | 'snaplen' | 'limit' | 'parseError' | undefined {
    return this.fields().incomplete;
  }

  get missingBytes(): number | undefined {
    return this.fields().missingBytes;
  }

  /** Where the body's missing bytes are: offset and length. */
  get bodyGaps(): [number, number][] | undefined {
    return this.fields().bodyGaps;
  }

  get headersIncomplete(): true | undefined {
    return this.fields().headersIncomplete;
  }

  /** The message was found by searching after a loss. */
  get afterGap(): true | undefined {
    return this.fields().afterGap;
  }

  /** What RFC 9112 does not allow and was read nevertheless, in this order. */
  get anomalies(): ('leadingBlanks' | 'startLineBlanks' | 'target' | 'version' | 'status' | 'http09' | 'bareLf' | 'bareCr' | 'obsFold' | 'blankBeforeColon' | 'fieldName' | 'noColon' | 'lengthAndCoding' | 'differentLengths' | 'repeatedLength' | 'invalidLength' | 'transferCoding' | 'chunkLine')[] | undefined {
    return this.fields().anomalies;
  }

  /** Fields that were not UTF-8, and those whose names are not ASCII beside one whose name is not UTF-8: each byte is written as U+00XX. */
  get latin1(): string[] | undefined {
    return this.fields().latin1;
  }

  /** fields extended. */
  get interface(): string | undefined {
    return this.fields().interface;
  }

  /** fields extended, files: from 1. */
  get firstFrame(): number | undefined {
    return this.fields().firstFrame;
  }

  /** fields extended, files: from 1. */
  get lastFrame(): number | undefined {
    return this.fields().lastFrame;
  }

  /** fields extended. */
  get headersSize(): number | undefined {
    return this.fields().headersSize;
  }

  /** fields extended. */
  get vlan(): number | number[] | undefined {
    return this.fields().vlan;
  }

  /** fields extended: version 1. */
  get communityId(): string | undefined {
    return this.fields().communityId;
  }

  /** fields extended: SYN to ACK. */
  get connectMs(): number | undefined {
    return this.fields().connectMs;
  }
}

/** One line of standard error. Events may carry more fields than are named here; those that are keep their meaning. */
export interface EngineEvent {
  timestamp: string;
  level: 'debug' | 'info' | 'warn' | 'error';
  event: string;
  message: string;
  /** Repeated events are rate-limited: how many of this name were held back before this one. */
  suppressed?: number;
  [field: string]: unknown;
}

/** Counters by name. */
export type Counters = Record<string, number>;

/** The fate of every frame: received is the sum of the others. */
export interface FrameCounters {
  received: number;
  not_ip: number;
  not_tcp: number;
  other_port: number;
  filtered: number;
  not_sampled: number;
  malformed: number;
  bad_checksum: number;
  fragment_merged: number;
  fragment_dropped: number;
  fragment_held: number;
  tunnel_too_deep: number;
  dropped_overload: number;
  dispatched: number;
  [name: string]: number;
}

/** What the capture threads saw and had to drop. */
export interface CaptureCounters {
  /** Of all frames. */
  bytes: number;
  /** Payload of the segments in frames.dropped_overload. */
  dropped_overload_bytes: number;
  /** Of the segments in frames.dropped_overload, those whose gap does not name its cause. */
  dropped_untold: number;
  /** Jumps of packet time that were believed. */
  clock_jumps: number;
  [name: string]: number;
}

/** What became of the frames of one of several interfaces. */
export interface InterfaceFigures {
  interface: string;
  up: boolean;
  /** How often it was seen to go down. */
  downs: number;
  /** Taken from the kernel. */
  frames: number;
  /** libpcap's figure, the dropped ones included. */
  received: number;
  /** By the kernel, whose buffer was full. */
  dropped: number;
  /** By the interface or its driver. */
  interface_dropped: number;
  /** By the engine. */
  dropped_overload: number;
}

/** One of several interfaces, as it was opened. */
export interface OpenedInterface {
  interface: string;
  linkType: number;
  /** As it was installed. */
  filter: string;
  filterInstructions: number;
  /** Of the times of packets; else microseconds. */
  nanoseconds: boolean;
  /** What libpcap could not do as asked. */
  warning?: string;
}

/** How many frames the kernel or one of several interfaces dropped. */
export interface InterfaceLoss {
  interface: string;
  dropped: number;
}

/** Bodies written to files, and those that were not. */
export interface ExtractedCounters {
  files: number;
  bytes: number;
  incomplete: number;
  limited: number;
  dropped: number;
  errors: number;
}

/** Files and connections that are followed: found is the sum of read, skipped, missed and waiting. */
export interface FollowCounters {
  found: number;
  read: number;
  skipped: number;
  missed: number;
  waiting: number;
  damaged: number;
  cut: number;
  bytes: number;
}

/** Messages given to Kafka: acknowledged ones are those that messages.written counts. */
export interface KafkaCounters {
  queued: number;
  acknowledged: number;
  failed: number;
  retried: number;
  errors: number;
}

/** The fate of every payload byte: captured is the sum of those from parsed to buffered. */
export interface ByteCounters {
  captured: number;
  parsed: number;
  tunnel: number;
  ignored_stream: number;
  skipped_in_resync: number;
  bridged_late: number;
  duplicate: number;
  out_of_window: number;
  refused: number;
  evicted: number;
  buffered: number;
  missing: number;
  /** Of the missing ones, those that the engine itself dropped. */
  missing_overload: number;
  [name: string]: number;
}

/** parsed = written + dropped_overload + discarded + queued + held + filtered + sampled_out + beyond_count. */
export interface MessageCounters {
  parsed: number;
  written: number;
  dropped_overload: number;
  discarded: number;
  queued: number;
  lost_before_start_line: number;
  [name: string]: number;
}

/** The capture is open. */
export interface StartedEvent extends EngineEvent {
  schemaVersion: 1;
  version: string;
  revision?: string;
  interface?: string;
  /** Several interfaces, each as it was opened. */
  interfaces?: OpenedInterface[];
  /** In the order in which they are read. */
  files?: string[];
  /** The files still grow. */
  follow?: true;
  /** Number of the link type; of files: the first one's, unless it comes through a pipe. */
  linkType?: number;
  ports: number[];
  /** As it was installed. */
  filter?: string;
  shards: number;
}

/** Frames of this link type cannot be read and are left out; once for each. */
export interface UnsupportedLinkTypeEvent extends EngineEvent {
  /** Its number. */
  linkType: number;
  /** Where the first of them was. */
  file?: string;
  /** Live. */
  interface?: string;
  /** Why the filter cannot be applied to such frames. */
  error?: string;
}

/** A capture file begins before the one before it ended: connections in both of them lose messages. */
export interface FileOutOfOrderEvent extends EngineEvent {
  file: string;
  /** How much older its first packet is than the latest one before it. */
  behindMs: number;
}

/** With follow: a capture is being read. */
export interface FollowBegunEvent extends EngineEvent {
  /** A path, or a connection. */
  file: string;
  /** It had ended, and grew. */
  again?: true;
}

/** With follow: a capture has ended. */
export interface FollowEndedEvent extends EngineEvent {
  /** A path, or a connection. */
  file: string;
  bytes: number;
  /** Of a packet whose rest never came. */
  cutBytes?: number;
  /** Why it did not end in order. */
  error?: string;
}

/** With follow: a file is not read. */
export interface FollowSkippedEvent extends EngineEvent {
  file: string;
  error: string;
}

/** With follow: a file was deleted or written over before it was read. */
export interface FollowMissedEvent extends EngineEvent {
  file: string;
  error: string;
}

/** With follow: there is nothing to read yet. */
export interface FollowWaitingEvent extends EngineEvent {
  file: string;
  error: string;
}

/** With follow: the system does not tell what changes in a folder. */
export interface FollowUnwatchedEvent extends EngineEvent {
  folder: string;
  error: string;
}

/** With follow: senders of captures may connect. */
export interface FollowListeningEvent extends EngineEvent {
  file: string;
  port: number;
}

/** With follow: there is no connection to the sender of the capture. */
export interface FollowUnconnectedEvent extends EngineEvent {
  file: string;
  error: string;
  retryMs: number;
}

/** Live, once for each interface: nothing has come yet. */
export interface NoPacketsEvent extends EngineEvent {
  interface: string;
  filter: string;
}

/** The output is a FIFO without a reader: the capture begins when it has one. */
export interface NoReaderEvent extends EngineEvent {
  file: string;
}

/** Threads make no progress; a service manager with a watchdog is not told that all is well. */
export interface ThreadsStuckEvent extends EngineEvent {
  threads: string[];
}

/** Rates since the last one, and the ledger so far. */
export interface StatsEvent extends EngineEvent {
  rates: {
  frames_per_second: number;
  bytes_per_second: number;
  messages_per_second: number;
};
  frames: FrameCounters;
  bytes: ByteCounters;
  messages: MessageCounters;
  capture?: CaptureCounters;
  encapsulation?: Counters;
  tcp?: Counters;
  connections?: Counters;
  memory?: Counters;
  incomplete?: Counters;
  http?: Counters;
  /** With decodeBodies, and of bodies that are searched for what is to be hidden. */
  bodies?: Counters;
  /** With extractDir. */
  extracted?: ExtractedCounters;
  /** With follow. */
  follow?: FollowCounters;
  /** With an output to Kafka. */
  kafka?: KafkaCounters;
  output?: Counters;
  events?: Counters;
  /** Live: libpcap's own figures. */
  kernel?: Counters;
  /** Live, of several interfaces: what became of the frames of each. */
  interfaces?: InterfaceFigures[];
}

/** A connection was given up: maxConcurrentConnections or memoryLimit is reached. */
export interface ConnectionEvictedEvent extends EngineEvent {
  connectionId: string;
  /** The sender: address and port. */
  from: string;
  to: string;
  packetTime: string;
}

/** Bytes of a connection were not captured; once a connection. */
export interface ReassemblyGapEvent extends EngineEvent {
  connectionId: string;
  /** The sender: address and port. */
  from: string;
  to: string;
  packetTime: string;
  missingBytes: number;
  /** overload: the engine itself dropped them. Absent when they never came, or when that is not known. */
  cause?: 'overload';
}

/** A stream is not HTTP/1; once a stream. */
export interface NotHttpEvent extends EngineEvent {
  connectionId: string;
  /** The sender: address and port. */
  from: string;
  to: string;
  packetTime: string;
  protocol?: string;
  /** Its first bytes, in hexadecimal. */
  sample?: string;
}

/** A stream stopped being HTTP/1; once a stream. */
export interface ParseErrorEvent extends EngineEvent {
  connectionId: string;
  /** The sender: address and port. */
  from: string;
  to: string;
  packetTime: string;
}

/** A limit of the configuration was reached: of a connection, which is named then, or of the run (extractMaxFiles, extractMaxBytes, tunnelDepth), once. */
export interface LimitEvent extends EngineEvent {
  connectionId?: string;
  /** The sender: address and port. */
  from?: string;
  to?: string;
  packetTime?: string;
  limit: string;
  value: number;
}

/** Live: the interface went down; the capture goes on when it is back. With `error` one of several was removed, and is waited for while the others go on; or it came back and cannot be opened. */
export interface InterfaceDownEvent extends EngineEvent {
  interface: string;
  error?: string;
}

/** Live: the interface is up again. */
export interface InterfaceUpEvent extends EngineEvent {
  interface: string;
}

/** At a SIGHUP the configuration file was read again. */
export interface ReloadedEvent extends EngineEvent {
  file: string;
  /** Keys that have another value from here on. */
  changed: string[];
}

/** At a SIGHUP keys of the configuration file had values that only a new start takes. */
export interface ReloadIgnoredEvent extends EngineEvent {
  file: string;
  keys: string[];
}

/** At a SIGHUP the configuration file was rejected; the run goes on as before. */
export interface ReloadFailedEvent extends EngineEvent {
  file: string;
  /** What a start would have said. */
  error: string;
}

/** At a SIGHUP the output could not be opened again; the old file is kept. */
export interface OutputReopenFailedEvent extends EngineEvent {
  file: string;
  error: string;
}

/** The disk of the output has room again. */
export interface OutputResumedEvent extends EngineEvent {
  file: string;
  /** Messages, meanwhile. */
  dropped: number;
}

/** The disk of the output is full; it is tried again. */
export interface OutputFullEvent extends EngineEvent {
  file: string;
  error: string;
}

/** The output did not end with a whole message when it was opened, and does now. */
export interface OutputMendedEvent extends EngineEvent {
  file: string;
  /** Framed and packed: of the message that was cut off. */
  cutBytes?: number;
}

/** A broker cannot be reached or refuses the log-in, or the cluster has a fault; it is tried again. */
export interface KafkaErrorEvent extends EngineEvent {
  topic: string;
  /** librdkafka's name of the error, for example _TRANSPORT. */
  code: string;
  /** librdkafka's words. */
  error: string;
}

/** Messages were not taken by Kafka and are lost. */
export interface KafkaFailedEvent extends EngineEvent {
  topic: string;
  /** librdkafka's name of the error, for example MSG_SIZE_TOO_LARGE. */
  code: string;
  /** librdkafka's words. */
  error: string;
  messages: number;
}

/** The connection to a broker is lost; it is tried again. */
export interface KafkaBrokerDownEvent extends EngineEvent {
  /** HOST:PORT/ID. */
  broker: string;
}

/** The connection to a broker is back. */
export interface KafkaBrokerUpEvent extends EngineEvent {
  /** HOST:PORT/ID. */
  broker: string;
}

/** Another broker leads a partition, or none does. */
export interface KafkaLeaderChangedEvent extends EngineEvent {
  topic: string;
  partition: number;
  /** HOST:PORT/ID; absent: the partition has no leader. */
  broker?: string;
}

/** Level debug: a line of librdkafka's log. */
export interface KafkaLogEvent extends EngineEvent {
  line: string;
}

/** A body was not written to its file in extractDir. */
export interface ExtractFailedEvent extends EngineEvent {
  file: string;
  error: string;
}

/** The file debugLog is not complete. */
export interface DebugLogFailedEvent extends EngineEvent {
  file: string;
  error: string;
}

/** What was dropped since the last one, or since the start: as soon as something is, then every 10 s at most, and at the end. */
export interface LossEvent extends EngineEvent {
  since: string;
  /** Frames. */
  kernel?: number;
  /** Frames. */
  interface?: number;
  /** By the engine. */
  frames?: number;
  /** Segments of connections that had no room. */
  connections?: number;
  /** By the engine. */
  messages?: number;
  /** Messages whose bytes were left out in part, because of a limit or an eviction. */
  cut?: number;
  /** Files of extractDir. */
  bodies?: number;
  /** Of several interfaces those that dropped frames, or whose kernel buffer did. */
  interfaces?: InterfaceLoss[];
}

/** The reader of the output did not take everything in time. */
export interface DrainIncompleteEvent extends EngineEvent {
  discarded: number;
}

/** How many repeated events were held back, by name. */
export interface EventsSuppressedEvent extends EngineEvent {
}

/** Events for which there was no room. */
export interface EventsDroppedEvent extends EngineEvent {
}

/** The final ledger. */
export interface StoppedEvent extends EngineEvent {
  /** Nothing was evicted, limited or dropped: the set of messages depends on the input alone. */
  deterministic: boolean;
  seconds?: number;
  /** Kinds of threads that hung while a second signal ended the process: the sums need not hold then. */
  unfinished?: string[];
  frames: FrameCounters;
  bytes: ByteCounters;
  messages: MessageCounters;
  capture?: CaptureCounters;
  encapsulation?: Counters;
  tcp?: Counters;
  connections?: Counters;
  memory?: Counters;
  incomplete?: Counters;
  http?: Counters;
  /** With decodeBodies, and of bodies that are searched for what is to be hidden. */
  bodies?: Counters;
  /** With extractDir. */
  extracted?: ExtractedCounters;
  /** With follow. */
  follow?: FollowCounters;
  /** With an output to Kafka. */
  kafka?: KafkaCounters;
  output?: Counters;
  events?: Counters;
  /** Live: libpcap's own figures. */
  kernel?: Counters;
  /** Live, of several interfaces: what became of the frames of each. */
  interfaces?: InterfaceFigures[];
}

/** Why the engine ends with an exit code other than 0. */
export interface FatalEvent extends EngineEvent {
  code: 'INVALID_CONFIG' | 'INVALID_INTERFACE' | 'PERMISSION_DENIED' | 'CAPTURE_OPEN_FAILED' | 'CAPTURE_FAILED' | 'INPUT_FILE' | 'OUTPUT_FAILED' | 'INTERNAL';
}

/** The engine’s events by name. */
export interface EngineEvents {
  started: [event: StartedEvent];
  unsupported_link_type: [event: UnsupportedLinkTypeEvent];
  file_out_of_order: [event: FileOutOfOrderEvent];
  follow_begun: [event: FollowBegunEvent];
  follow_ended: [event: FollowEndedEvent];
  follow_skipped: [event: FollowSkippedEvent];
  follow_missed: [event: FollowMissedEvent];
  follow_waiting: [event: FollowWaitingEvent];
  follow_unwatched: [event: FollowUnwatchedEvent];
  follow_listening: [event: FollowListeningEvent];
  follow_unconnected: [event: FollowUnconnectedEvent];
  no_packets: [event: NoPacketsEvent];
  no_reader: [event: NoReaderEvent];
  threads_stuck: [event: ThreadsStuckEvent];
  stats: [event: StatsEvent];
  connection_evicted: [event: ConnectionEvictedEvent];
  reassembly_gap: [event: ReassemblyGapEvent];
  not_http: [event: NotHttpEvent];
  parse_error: [event: ParseErrorEvent];
  limit: [event: LimitEvent];
  interface_down: [event: InterfaceDownEvent];
  interface_up: [event: InterfaceUpEvent];
  reloaded: [event: ReloadedEvent];
  reload_ignored: [event: ReloadIgnoredEvent];
  reload_failed: [event: ReloadFailedEvent];
  output_reopen_failed: [event: OutputReopenFailedEvent];
  output_resumed: [event: OutputResumedEvent];
  output_full: [event: OutputFullEvent];
  output_mended: [event: OutputMendedEvent];
  kafka_error: [event: KafkaErrorEvent];
  kafka_failed: [event: KafkaFailedEvent];
  kafka_broker_down: [event: KafkaBrokerDownEvent];
  kafka_broker_up: [event: KafkaBrokerUpEvent];
  kafka_leader_changed: [event: KafkaLeaderChangedEvent];
  kafka_log: [event: KafkaLogEvent];
  extract_failed: [event: ExtractFailedEvent];
  debug_log_failed: [event: DebugLogFailedEvent];
  loss: [event: LossEvent];
  drain_incomplete: [event: DrainIncompleteEvent];
  events_suppressed: [event: EventsSuppressedEvent];
  events_dropped: [event: EventsDroppedEvent];
  stopped: [event: StoppedEvent];
  fatal: [event: FatalEvent];
}

export const engineEventNames = ["started","unsupported_link_type","file_out_of_order","follow_begun","follow_ended","follow_skipped","follow_missed","follow_waiting","follow_unwatched","follow_listening","follow_unconnected","no_packets","no_reader","threads_stuck","stats","connection_evicted","reassembly_gap","not_http","parse_error","limit","interface_down","interface_up","reloaded","reload_ignored","reload_failed","output_reopen_failed","output_resumed","output_full","output_mended","kafka_error","kafka_failed","kafka_broker_down","kafka_broker_up","kafka_leader_changed","kafka_log","extract_failed","debug_log_failed","loss","drain_incomplete","events_suppressed","events_dropped","stopped","fatal"] as const;

/** The JSON object that the engine takes with --config; every key is a flag in kebab-case. x-kind and x-unit name the rules that JSON Schema has no word for: name and path are not empty, headerName is a token of RFC 9110, field a name that --help-fields lists, property NAME=VALUE for librdkafka, pattern is an expression that RE2 takes, route a pattern of paths, condition one of docs/conditions.md, listener is ADDRESS:PORT; bytes may be written as 64K or 1M. */
export interface EngineConfig {
  /** The interface to capture on; any, lo and nflog:GROUP work too. Several (-i eth1 -i eth2) are one capture: a request on one and its response on the other are an exchange (live only). Default: first interface that is up and not loopback. */
  interface?: string | string[];
  /** Capture files (pcap, pcapng, also gzip or zstd), read as one stream; - is standard input. Default: none: live capture. */
  files?: string[];
  /** Time: several files are read in the order of their first packets; given: as named. With a pipe or standard input among them always as named. */
  fileOrder?: 'time' | 'given';
  /** Read captures that still grow: files is a file, a folder, a pattern ('*.pcap', quoted), tcp://HOST:PORT or tcp-listen://ADDRESS:PORT (pcap over IP). */
  follow?: boolean;
  /** With follow: stop when nothing came for this time; 0 = go on until a signal. */
  followIdle?: number;
  /** TCP ports whose connections are read. Default: required live; files: every port. */
  ports?: number[];
  /** A libpcap filter, in addition to the ports; for files too. */
  filter?: string;
  /** Bytes captured of each frame (live only). */
  snaplen?: number | string;
  /** Size of the kernel's capture buffer of each capture thread, in MiB (live only). */
  bufferSizeMiB?: number;
  /** Capture frames for other hosts too (live only). */
  promiscuous?: boolean;
  /** Capture threads of each interface; the kernel spreads the connections over them (live only). */
  captureThreads?: number;
  /** Pin the threads to these CPUs, of those that the process may use: capture threads, then shards, then the writer. */
  pinCpus?: number[];
  /** Become this user: live once the capture is open, of files before they are opened. */
  user?: string;
  /** The fraction of connections processed; a connection is whole or absent, and the same ones are chosen in every run. */
  sampleRate?: number;
  /** Another seed chooses other connections and exchanges. */
  sampleSeed?: number;
  /** Write only exchanges of which this holds: both messages or neither; for example status >= 500 or latencyMs > 1000. */
  where?: string;
  /** The fraction of exchanges written: both messages or neither, and the same ones in every run. */
  sampleExchanges?: number;
  /** With sampleExchanges: exchanges that are written in any case. */
  alwaysKeep?: string;
  /** Protocols that are parsed. */
  protocols?: ('http' | 'pop3')[];
  /** Look into tunnels (GRE, VXLAN, GTP-U and others). Default: files: true; live: false. */
  tunnels?: boolean;
  /** How many tunnels within each other are followed. */
  tunnelDepth?: number;
  /** Connections in different tunnels (their kind, ends, VNI or GRE key) are different ones, and others than those outside of tunnels. */
  keyTunnel?: boolean;
  /** Connections in different VLANs are different ones. */
  keyVlan?: boolean;
  /** File for the messages, re-opened on SIGHUP; - is standard output; kafka://HOST:PORT,.../TOPIC is a topic of Kafka. Default: standard output. */
  output?: string;
  /** With Kafka: the header sensor of each message, which tells the sensors of a fleet apart; at most 255 bytes. Default: the host's name. */
  sensorName?: string;
  /** Librdkafka's own settings, for example compression.codec=lz4; no secrets. */
  kafkaProperties?: string[];
  /** A file of such settings, one a line, which beat kafkaProperties; secrets stand here; only its owner may read it. */
  kafkaPropertiesFile?: string;
  /** With Kafka, when files are read: how long messages wait for the first answer of a broker before the run fails; 0 = no limit. Live and with follow, overload decides. */
  kafkaConnectTimeoutMs?: number;
  /** Ndjson: one JSON object a line; framed: bodies as raw bytes; packed: binary records for programs; pretty: for people; tsv, csv: a table of the fields in select. Default: ndjson; pretty when standard output is a terminal. */
  format?: 'ndjson' | 'framed' | 'packed' | 'pretty' | 'tsv' | 'csv';
  /** Message: a line for each message; exchange: one for a request with its responses. */
  records?: 'message' | 'exchange';
  /** Pretty lines in colour; auto: on a terminal, unless NO_COLOR is set or TERM is dumb. */
  color?: 'auto' | 'always' | 'never';
  /** Below each pretty line the headers (1, the same as -v), and bodies as well (2, -vv), decoded and in part. */
  verbose?: number;
  /** Pretty lines with times in UTC instead of local time. */
  utc?: boolean;
  /** Extended adds interface, frame numbers, headersSize, vlan, communityId, connectMs. */
  fields?: 'standard' | 'extended';
  /** Only these fields, in this order; --help-fields lists their names. Default: every field; tables: the usual ones. */
  select?: string[];
  /** Bytes of body kept of each message; 0 = none. */
  maxBodySize?: number | string;
  /** Bodies that are not UTF-8: left out, or written in base64 (packed: as they are). */
  binaryBody?: 'omit' | 'base64';
  /** A message whose body is still arriving after this time is written in parts; 0 = whole. */
  partialAfterMs?: number;
  /** Undo gzip, deflate, br and zstd, up to maxBodySize of what was sent and of what comes out. */
  decodeBodies?: boolean;
  /** Add the headers as sent, in their order. */
  rawHeaders?: boolean;
  /** Adds client: the number of proxies in front of the server whose entries in Forwarded or X-Forwarded-For are believed; 0: none, the client is the connection's peer. */
  trustedProxies?: number;
  /** Adds client: the header to which the trusted proxies add the client's address, instead of Forwarded and X-Forwarded-For. */
  clientHeader?: string;
  /** Headers and trailers whose values are written as "[redacted]". */
  redactHeaders?: string[];
  /** Query parameters whose values are written as "[redacted]" wherever a message repeats its target (referer, location and others). */
  redactQuery?: string[];
  /** JSON keys, form fields and parts of multipart bodies whose values are hidden; card.number is number within card. Coded bodies are decoded; a body that cannot be read is left out. */
  redactBody?: string[];
  /** What matches this expression (RE2) is hidden in targets, headers and bodies. */
  redactPattern?: string[];
  /** What stands in the place of a hidden value. mask: [redacted]; hash: 16 hexadecimal digits of its HMAC-SHA-256, the same for the same value. */
  redactMode?: 'mask' | 'hash';
  /** With redactMode hash: the file with the key, which only its owner may read. */
  redactKeyFile?: string;
  /** Write each response body to a file in this directory. */
  extractDir?: string;
  /** With extractDir: incomplete bodies too. */
  writeIncomplete?: boolean;
  /** With extractDir: bytes written in all. */
  extractMaxBytes?: number | string;
  /** With extractDir: files written in all. */
  extractMaxFiles?: number;
  /** Put IPv4 and IPv6 fragments together. */
  defrag?: boolean;
  /** Drop and count segments with a bad IP or TCP checksum; off, because offloading makes captured checksums wrong. */
  verifyChecksums?: boolean;
  /** Refuse segments that contradict the negotiated MSS or window. */
  checkTcpOptions?: boolean;
  /** Take segments that are illegal in the connection's TCP state; false: drop and count them. */
  ignoreFsmErrors?: boolean;
  /** Take connections whose SYN was not seen. */
  allowMissingInit?: boolean;
  /** When missing bytes are given up. evidence: when the receiver has acknowledged them; buffer: only when the buffer is full, on memory or close. */
  gapPolicy?: 'evidence' | 'buffer';
  /** How long to wait for missing bytes when only one direction is captured. */
  gapTimeoutMs?: number;
  /** Packet time after which a silent connection ends; for files too. */
  connectionIdleTimeoutMs?: number;
  /** Also sweep timeouts every N packets; never changes what comes out; 0 = off. */
  flushEvery?: number;
  /** Connections followed at once; beyond, one that has ended or is half open is evicted, else the least recently active one. */
  maxConcurrentConnections?: number;
  /** Memory for everything that traffic can make grow. */
  memoryLimit?: number | string;
  /** Bytes kept of one direction after missing bytes; at most memoryLimit. With several interfaces, of which one may be late, it is 64M unless given. */
  reassemblyBufferSize?: number | string;
  /** Start line and headers of a message; beyond, it is incomplete: limit. */
  maxHeaderBytes?: number | string;
  /** Headers of a message; beyond, it is incomplete: limit. */
  maxHeaders?: number;
  /** Requests of a connection that wait for their response; beyond, the response has no exchange. */
  maxOutstandingRequests?: number;
  /** Threads that reassemble and parse; 0 = everything on the capture thread. Default: CPUs - 1, at least 1; files for people (pretty): 0. */
  shards?: number;
  /** When the reader of the output or a shard is too slow: wait, or drop and count. Default: files: block; live: drop. */
  overload?: 'block' | 'drop';
  /** How long a stop waits for the reader of the output; the end of files waits without limit. */
  drainTimeoutMs?: number;
  /** On stop, keep capturing until the open connections have ended or 30 s are over (live only). */
  waitForConnections?: boolean;
  /** Stop after this time, as after Ctrl-C; 0 = when the input ends. */
  duration?: number;
  /** Stop after so many exchanges, as after Ctrl-C; with records message, so many responses; 0 = when the input ends. */
  count?: number;
  /** Exit with 1 when no message was written. */
  failIfNone?: boolean;
  /** On standard error only warnings and errors: no summary, no progress. */
  quiet?: boolean;
  /** The least important events that are written to standard error. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Auto: text on a terminal, else json; with --config - always json. */
  logFormat?: 'auto' | 'text' | 'json';
  /** Events may show the first bytes of a stream that is not HTTP. */
  logSamples?: boolean;
  /** Time between two stats events; 0 = off. */
  statsIntervalMs?: number;
  /** Silence that is worth a warning; 0 = off (live only). */
  noPacketsWarningMs?: number;
  /** Serve Prometheus metrics here; a port alone means 127.0.0.1. Default: off. */
  metricsListen?: string;
  /** With metricsListen: series that count requests by host, method and status class; what has no room is counted as host="other"; 0 = off. */
  metricsSeriesMax?: number;
  /** With metricsListen: patterns of paths, for example /api/orders/{id}, that become the label route of those series. */
  metricsRoutes?: string[];
  /** Write one line a segment into debugLog: what became of it. */
  debug?: boolean;
  /** The same, and below each line the segment's bytes, as they were sent. */
  hexDump?: boolean;
  /** The file for debug and hexDump. */
  debugLog?: string;
}

/** The defaults of the engine that do not depend on where it runs. */
export const engineDefaults = {
  fileOrder: "time",
  follow: false,
  followIdle: 0,
  snaplen: 262144,
  bufferSizeMiB: 64,
  promiscuous: true,
  captureThreads: 1,
  sampleRate: 1,
  sampleSeed: 0,
  sampleExchanges: 1,
  protocols: ["http"],
  tunnelDepth: 4,
  keyTunnel: true,
  keyVlan: false,
  kafkaConnectTimeoutMs: 60000,
  records: "message",
  color: "auto",
  verbose: 0,
  utc: false,
  fields: "standard",
  maxBodySize: 1048576,
  binaryBody: "omit",
  partialAfterMs: 0,
  decodeBodies: false,
  rawHeaders: false,
  trustedProxies: 0,
  redactMode: "mask",
  writeIncomplete: false,
  extractMaxBytes: 10737418240,
  extractMaxFiles: 100000,
  defrag: true,
  verifyChecksums: false,
  checkTcpOptions: false,
  ignoreFsmErrors: true,
  allowMissingInit: true,
  gapPolicy: "evidence",
  gapTimeoutMs: 2000,
  connectionIdleTimeoutMs: 300000,
  flushEvery: 0,
  maxConcurrentConnections: 100000,
  memoryLimit: 1073741824,
  reassemblyBufferSize: 4194304,
  maxHeaderBytes: 262144,
  maxHeaders: 1000,
  maxOutstandingRequests: 256,
  drainTimeoutMs: 5000,
  waitForConnections: false,
  duration: 0,
  count: 0,
  failIfNone: false,
  quiet: false,
  logLevel: "info",
  logFormat: "auto",
  logSamples: true,
  statsIntervalMs: 10000,
  noPacketsWarningMs: 30000,
  metricsSeriesMax: 1000,
  debug: false,
  hexDump: false,
  debugLog: "reassembly.log",
} as const;
