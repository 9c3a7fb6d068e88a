/** Who takes what the engine writes in `npx tcp-sniffer --har … --to …`. */
import type { OwnArguments } from './cli-arguments.js';
import type { Logger } from './config.js';
import { ExchangeRecord } from './exchange-record.js';
import { HarFile } from './har-file.js';
import { isHttp } from './mappings/common.js';
import type { OtelOptions } from './mappings/otel.js';
import { RequestDurations } from './mappings/otel-metrics.js';
import { routeOf } from './mappings/routes.js';
import { Message } from './message.js';
import { DeadLetters } from './send/dead-letters.js';
import { elasticItem, elasticProtocol } from './send/elastic.js';
import type { Endpoint } from './send/endpoint.js';
import { linesProtocol } from './send/lines.js';
import { lokiItem, lokiProtocol } from './send/loki.js';
import { otlpItem, otlpMetricsItem, otlpMetricsProtocol, otlpTracesProtocol } from './send/otlp.js';
import type { Item } from './send/protocol.js';
import { Sender, type SenderOptions } from './send/sender.js';

/** How often the totals of the metrics are reported. */
const metricsIntervalMs = 10_000;

export interface Taker {
  /** Takes what the engine wrote, an exchange where one is wanted; a promise while there is no room
   * for more. */
  take(record: Message | ExchangeRecord): Promise<void> | undefined;
  /** `hasFailed`: the engine has. */
  end(hasFailed: boolean): Promise<void>;
  /** What is not delivered within this time becomes dead letters. */
  hurry(milliseconds: number): void;
  /** What to print at the end, and whether all was delivered. */
  report(): { text: string; isComplete: boolean };
}

class HarTaker implements Taker {
  readonly #file: HarFile;
  readonly #path: string;

  constructor(path: string, bodyBytesMax: number | undefined, onFailure: (error: Error) => void) {
    this.#path = path;
    const limits = bodyBytesMax === undefined ? {} : { bodyBytesMax };
    this.#file = new HarFile(path, limits, onFailure);
  }

  take(record: Message | ExchangeRecord): Promise<void> | undefined {
    return record instanceof ExchangeRecord ? this.#file.write(record) : undefined;
  }

  end(hasFailed: boolean): Promise<void> {
    return this.#file.end(hasFailed);
  }

  hurry(): void {}

  report() {
    const { failure } = this.#file;
    if (failure !== undefined) return { text: `har: ${failure.message}`, isComplete: false };
    const { entries, orphans, bodiesLeftOut } = this.#file.stats;
    const text = `har ${this.#path}: ${entries} entries, ${orphans} responses without a request, ${bodiesLeftOut} bodies left out`;
    return { text, isComplete: true };
  }
}

function reportOf(sender: Sender, what: string): { text: string; isComplete: boolean } {
  const { delivered, rejected, lost, requests, retries } = sender.stats;
  const dead = rejected - lost;
  const text = `${sender.name}: ${delivered} ${what} delivered, ${rejected} not (${dead} in the dead letters), ${requests} requests, ${retries} retries`;
  return { text, isComplete: rejected === 0 };
}

class SenderTaker implements Taker {
  readonly #sender: Sender;
  readonly #what: string;
  readonly #itemOf: (record: Message | ExchangeRecord) => Item | undefined;

  constructor(
    sender: Sender,
    what: string,
    itemOf: (record: Message | ExchangeRecord) => Item | undefined,
  ) {
    this.#sender = sender;
    this.#what = what;
    this.#itemOf = itemOf;
  }

  take(record: Message | ExchangeRecord): Promise<void> | undefined {
    const item = this.#itemOf(record);
    return item && this.#sender.write(item);
  }

  end(): Promise<void> {
    return this.#sender.end();
  }

  hurry(milliseconds: number): void {
    if (milliseconds > 0) this.#sender.hurry(milliseconds);
    else this.#sender.abort();
  }

  report() {
    return reportOf(this.#sender, this.#what);
  }
}

/** Reports totals: at most one report waits, because the next one says all that it says. */
class MetricsTaker implements Taker {
  readonly #sender: Sender;
  readonly #durations: RequestDurations;
  readonly #service: string;
  readonly #timer: NodeJS.Timeout;

  constructor(sender: Sender, options: OtelOptions, service: string) {
    this.#sender = sender;
    this.#durations = new RequestDurations(options);
    this.#service = service;
    this.#timer = setInterval(() => this.#report(), metricsIntervalMs);
  }

  take(record: Message | ExchangeRecord): undefined {
    if (record instanceof ExchangeRecord && isHttp(record)) this.#durations.add(record);
    return undefined;
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#durations.isEmpty) {
      this.#sender.write(otlpMetricsItem(this.#durations, this.#service));
    }
    await this.#sender.end();
  }

  hurry(milliseconds: number): void {
    if (milliseconds > 0) this.#sender.hurry(milliseconds);
    else this.#sender.abort();
  }

  report() {
    return reportOf(this.#sender, 'reports');
  }

  #report(): void {
    if (this.#sender.stats.queued > 0 || this.#durations.isEmpty) return;
    this.#sender.write(otlpMetricsItem(this.#durations, this.#service));
  }
}

function ofHttp(convert: (exchange: ExchangeRecord) => Item) {
  return (record: Message | ExchangeRecord): Item | undefined =>
    record instanceof ExchangeRecord && isHttp(record) ? convert(record) : undefined;
}

function takersOf(
  endpoint: Endpoint,
  { routes, serviceName }: OwnArguments,
  otel: OtelOptions,
  makeSender: (
    protocol: ConstructorParameters<typeof Sender>[0],
    more?: Partial<SenderOptions>,
  ) => Sender,
): Taker[] {
  switch (endpoint.kind) {
    case 'lines':
      return [
        new SenderTaker(makeSender(linesProtocol(endpoint)), 'lines', ({ raw }) => ({
          text: raw.toString('utf8'),
        })),
      ];
    case 'elastic':
      return [
        new SenderTaker(makeSender(elasticProtocol(endpoint)), 'documents', ofHttp(elasticItem)),
      ];
    case 'loki':
      return [
        new SenderTaker(makeSender(lokiProtocol(endpoint, serviceName)), 'lines', ofHttp(lokiItem)),
      ];
    case 'otlp': {
      const options = { ...otel, ...(routes.length > 0 ? { routes } : {}) };
      return [
        new SenderTaker(
          makeSender(otlpTracesProtocol(endpoint, serviceName)),
          'spans',
          ofHttp((exchange) => otlpItem(exchange, options)),
        ),
        new MetricsTaker(
          makeSender(otlpMetricsProtocol(endpoint), { batchWaitMs: 0 }),
          options,
          serviceName,
        ),
      ];
    }
  }
}

/** Everything that takes lines, and whether it wants them as exchanges. */
export class Takers {
  readonly wantsExchanges: boolean;
  /** Resolves when nobody is left who can take anything: only a HAR, whose file has failed. */
  readonly failed: Promise<void>;
  #isFailed = false;
  readonly #takers: Taker[] = [];
  readonly #deadLetters: DeadLetters | undefined;

  /** Throws when a file cannot be opened, or a route is none. */
  constructor(
    own: OwnArguments,
    logger: Logger,
    otel: OtelOptions = {},
    senderOptions: Partial<SenderOptions> = {},
  ) {
    routeOf('/', own.routes);
    this.wantsExchanges = own.har !== undefined || own.to.some(({ kind }) => kind !== 'lines');
    this.#deadLetters =
      own.deadLetters === undefined ? undefined : new DeadLetters(own.deadLetters);
    let fail = (): void => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    if (own.har !== undefined) {
      const onFailure = (error: Error): void => {
        // At once, and not only at the end, which of a live capture may be far.
        logger.error(`har ${own.har}: cannot be written any more: ${error.message}`);
        if (own.to.length > 0) return;
        this.#isFailed = true;
        fail();
      };
      this.#takers.push(new HarTaker(own.har, own.harBodiesMax, onFailure));
    }
    for (const endpoint of own.to) {
      this.#takers.push(
        ...takersOf(
          endpoint,
          own,
          otel,
          (protocol, more) =>
            new Sender(protocol, logger, this.#deadLetters, { ...senderOptions, ...more }),
        ),
      );
    }
  }

  get isFailed(): boolean {
    return this.#isFailed;
  }

  /** Gives what the engine wrote to everybody; a promise while one of them has no room for more.
   * Throws when a line is no exchange where one is wanted. */
  take(record: Message | ExchangeRecord): Promise<unknown> | undefined {
    let taken = record;
    if (this.wantsExchanges && record instanceof Message) {
      taken = new ExchangeRecord(record.raw);
      taken.parse();
    }
    const waits: Promise<void>[] = [];
    for (const taker of this.#takers) {
      const wait = taker.take(taken);
      if (wait !== undefined) waits.push(wait);
    }
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  async end(hasFailed: boolean): Promise<void> {
    await Promise.all(this.#takers.map((taker) => taker.end(hasFailed)));
    this.#deadLetters?.close();
  }

  /** What is not delivered within this time becomes dead letters; with 0 at once. */
  hurry(milliseconds: number): void {
    for (const taker of this.#takers) taker.hurry(milliseconds);
  }

  report(): { lines: string[]; isComplete: boolean } {
    const reports = this.#takers.map((taker) => taker.report());
    return {
      lines: reports.map(({ text }) => text),
      isComplete: reports.every(({ isComplete }) => isComplete),
    };
  }
}
