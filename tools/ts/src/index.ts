export type {
  Logger,
  OutputUrlOptions,
  PackageConfig,
  RestartOptions,
  SnifferConfig,
  WorkerOptions,
} from './config.js';
export { checkConfig } from './config.js';
export { FrameDecoder, frameMagic, LineDecoder } from './decoder.js';
export { SnifferError, type SnifferErrorCode } from './errors.js';
export { ExchangeRecord, exchangeOfFields } from './exchange-record.js';
export { findBinary } from './find-binary.js';
export * from './generated.js';
export type { ExchangeLike } from './mappings/common.js';
export { type EcsDocument, type EcsOptions, toEcs } from './mappings/ecs.js';
export {
  type Har,
  HarBodies,
  type HarEntry,
  type HarOptions,
  toHar,
  toHarEntry,
} from './mappings/har.js';
export {
  type OtelOptions,
  type OtlpSpan,
  semanticConventionsVersion,
  toOtelAttributes,
  toOtelSpan,
  toOtlpTraces,
} from './mappings/otel.js';
export { toZeekHttp, type ZeekHttp } from './mappings/zeek.js';
export { headerOf, headerValues, Message, type MessageLike } from './message.js';
export { PackedDecoder } from './packed-decoder.js';
export {
  type Exchange,
  type OrphanReason,
  Pairer,
  type PairOptions,
  pair,
  pairStream,
} from './pair.js';
export { printable } from './printable.js';
export { createSniffer, Sniffer } from './sniffer.js';
export type { Crash, SnifferEvents, SnifferStats } from './sniffer-events.js';
export type { Transport } from './source.js';
