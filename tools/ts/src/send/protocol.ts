/** What the receivers of `--to` have in common. */

/** One thing to deliver, as JSON in the receiver's form. */
export interface Item {
  readonly text: string;
  /** What the receiver knows it by: an id, or a time. */
  readonly key?: string | undefined;
}

/** Where and how a kind of receiver takes its items. */
export interface Protocol {
  /** As in `--to`, with the address and without credentials: for messages. */
  readonly name: string;
  /** Without credentials, which are among the headers. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** One request's content. */
  body(items: readonly Item[]): string;
  /** What an answer of 2xx says of each item. */
  verdict(items: readonly Item[], answer: string): Verdict;
}

/** An item that was not taken. */
export interface Rejected {
  item: Item;
  reason: string;
}

/** What became of the items of one request; those that are not named are delivered. */
export interface Verdict {
  /** To be sent again. */
  retry?: Rejected[];
  /** Not wanted by the receiver, now or later. */
  rejected?: Rejected[];
  /** So many of the others were rejected, and the receiver did not say which. */
  unknown?: { count: number; reason: string };
  /** What to tell the user. */
  warning?: string;
}

/** The JSON object of an answer; an empty one for an answer that is none. */
export function objectOf(answer: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(answer);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // A receiver that said 2xx has taken the items, whatever else it says.
  }
  return {};
}

/** What an answer says at a place where a text belongs; its JSON may have anything there. */
export function textAt(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** The same of a number, which may be written as a text; NaN: there is none. */
export function numberAt(value: unknown): number {
  return typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN;
}
