import { createServer, type RequestListener, type Server } from 'node:http';
import { listen, stopListening } from 'varlog/node';
import { freeAddresses } from 'varlog/testing';
import { LedgerClient } from './client.ts';

const legs = [
  { account: 'a', amount: -5n },
  { account: 'b', amount: 5n },
];

let server: Server | undefined;
afterEach(async () => {
  if (server !== undefined) await stopListening(server);
  server = undefined;
});

/** A client of a server that answers in this way. */
async function answered(answer: RequestListener): Promise<LedgerClient> {
  server = createServer(answer);
  return new LedgerClient(await listen(server, '127.0.0.1:0'));
}

const replies = (status: number, text: string): RequestListener => {
  return (_, response) => response.writeHead(status).end(text);
};

test.each<[unknown, unknown, RegExp]>([
  ['', undefined, /the address of the ledger: is not host:port; give host:port of a replica/],
  ['http://127.0.0.1:80', undefined, /is not host:port/],
  [undefined, undefined, /the address of the ledger: /],
  ['127.0.0.1:80', '', /the token: is empty/],
  ['127.0.0.1:80', { token: 'x' }, /the token: .*; give the text of an access token/],
])('a client of %p with token %p is refused, and says what is wrong', (address, token, message) => {
  const make = (): LedgerClient => new LedgerClient(address as string, token as string);
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  expect(make).toThrow(message);
});

test('where nobody listens, nothing was done: start a ledger', async () => {
  const [address = ''] = await freeAddresses(1);
  const transfer = new LedgerClient(address).transfer({ id: 't', legs });
  await expect(transfer).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringContaining('start one with "serve"'),
    outcome: 'notAppended',
  });
});

test('a connection that breaks leaves it open: repeat it under its id', async () => {
  const client = await answered((request) => request.socket.destroy());
  await expect(client.transfer({ id: 'rent', legs })).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringContaining('--id rent'),
    outcome: 'unknown',
    details: { id: 'rent' },
  });
  // A question can be asked again by anybody.
  await expect(client.account('a')).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.not.stringContaining('--id'),
    details: {},
  });
});

test.each([
  [400, 'INVALID_ARGUMENT', undefined],
  [400, 'POSITION_OUT_OF_RANGE', 'POSITION_OUT_OF_RANGE'],
  [401, 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
  [302, 'FAILED_PRECONDITION', undefined],
  [403, 'FAILED_PRECONDITION', undefined],
  [404, 'NOT_FOUND', 'toString'],
  [405, 'FAILED_PRECONDITION', undefined],
  [408, 'UNAVAILABLE', undefined],
  [410, 'TRIMMED', 'TRIMMED'],
  [412, 'FAILED_PRECONDITION', 'FAILED_PRECONDITION'],
  [413, 'ENTRY_TOO_LARGE', undefined],
  [422, 'REQUEST_MISMATCH', 'REQUEST_MISMATCH'],
  [429, 'RESOURCE_EXHAUSTED', undefined],
  [503, 'UNAVAILABLE', undefined],
  // It can be asked again: that what answered is closed is nothing to the client.
  [503, 'UNAVAILABLE', 'CLOSED'],
  [504, 'TIMEOUT', undefined],
])('a %d carries what the ledger says, and its outcome', async (status, code, said) => {
  const answer = JSON.stringify({ code: said, message: 'because', outcome: 'notAppended' });
  const client = await answered(replies(status, answer));
  await expect(client.transfer({ legs })).rejects.toMatchObject({
    code,
    message: expect.stringContaining('because'),
    outcome: 'notAppended',
    details: { id: expect.any(String) },
  });
});

test.each(['', 'null', '<html>', '7'])('an answer of something else: "%s"', async (text) => {
  const client = await answered(replies(502, text));
  await expect(client.audit()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('answered 502'),
  });
});

test('what the ledger declines is an answer, not an error', async () => {
  const declined = { done: false, reason: 'no cover' };
  const client = await answered(replies(422, JSON.stringify(declined)));
  expect(await client.transfer({ legs })).toEqual(declined);
});
