/** What an output writes: a message, or an exchange. */
export interface Line {
  readonly byteLength: number;
  /** One line of NDJSON without its end. */
  toLine(): Buffer;
}
