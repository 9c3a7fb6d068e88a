import type { ExchangeFields, MessageFields } from './generated.js';

/** What the engine escapes and JSON.stringify does not. */
const escapedToo = /[\u007f-\u009f\u2028\u2029]/g;

/** The line that the engine writes for a message or an exchange, without its end. Headers whose names are numbers
 * come first, because JavaScript puts such keys of an object first. */
export function lineOf(fields: MessageFields | ExchangeFields): string {
  return JSON.stringify(fields).replace(
    escapedToo,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
