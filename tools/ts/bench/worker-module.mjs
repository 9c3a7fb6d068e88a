// What the benchmark's worker threads do with a message: the same as the main thread would.
const totals = { messages: 0, bodyBytes: 0 };

export function onHttpMessage(message) {
  totals.messages += 1;
  if (message.direction === 'response' && message.statusCode === 0) throw new Error('no status');
  totals.bodyBytes += message.bodySize;
}

export const onEnd = () => totals;
