import { getEventListeners } from 'node:events';
import { createServer } from 'node:http';
import { listen, stopListening } from 'varlog/node';
import { type JsonCall, JsonClient } from './http-client.ts';

const call: JsonCall = { method: 'GET', path: '/' };

test.each<[string, object, RegExp]>([
  ['a text for a time', { timeoutMs: '5' }, /^INVALID_ARGUMENT: timeoutMs: is no number of milli/],
  [
    'a time before now',
    { timeoutMs: -1 },
    /^INVALID_ARGUMENT: timeoutMs: .*; give a number from 0/,
  ],
  ['no number', { timeoutMs: Number.NaN }, /^INVALID_ARGUMENT: timeoutMs: /],
  ['a signal that is none', { signal: 'stop' }, /^INVALID_ARGUMENT: signal: cannot be aborted/],
])('%s is refused before anything is sent', async (_, limits, message) => {
  const client = new JsonClient('127.0.0.1:1', 'ledger');
  const calling = client.call({ ...call, ...limits });
  await expect(calling).rejects.toThrow(message);
  await expect(calling).rejects.toMatchObject({ outcome: 'notAppended' });
});

test('no limit, and one longer than any timer, are limits', async () => {
  const server = createServer((_, response) => response.end('{"done":true}'));
  const client = new JsonClient(await listen(server, '127.0.0.1:0'), 'ledger');
  for (const timeoutMs of [Number.POSITIVE_INFINITY, 2 ** 40])
    expect(await client.call({ ...call, timeoutMs })).toEqual({ done: true });
  await stopListening(server);
});

test('a call ends with its signal or its time, and its signal keeps nothing of it', async () => {
  const ending = new AbortController();
  const { signal } = ending;
  const server = createServer((request, response) => {
    if (request.url === '/answered') response.end('{"done":true}');
    if (request.url === '/stopped') ending.abort('enough');
  });
  const client = new JsonClient(await listen(server, '127.0.0.1:0'), 'ledger');
  expect(await client.call({ ...call, path: '/answered', signal })).toEqual({ done: true });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  const late = client.call({ ...call, path: '/silent', signal, timeoutMs: 10 });
  await expect(late).rejects.toMatchObject({ code: 'UNREACHABLE' });
  await expect(client.call({ ...call, path: '/stopped', signal })).rejects.toBe('enough');
  await expect(client.call({ ...call, path: '/silent', signal })).rejects.toBe('enough');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  await stopListening(server);
});
