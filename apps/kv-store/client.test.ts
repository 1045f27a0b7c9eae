import { KvClient } from './client.ts';

test.each<[string, unknown, unknown, RegExp]>([
  ['no addresses', [], {}, /the addresses of the replicas: there are none; give host:port of each/],
  ['an empty one', ['a:1', ''], {}, /the addresses of the replicas\.1: is empty/],
  ['no list', '127.0.0.1:1', {}, /the addresses of the replicas: /],
  [
    'a misspelt option',
    ['a:1'],
    { tokn: 'x' },
    /the options of a KvClient: .*"tokn"; give tls and/,
  ],
  ['a token that is no text', ['a:1'], { token: 7 }, /the options of a KvClient\.token: /],
  ['TLS that is none', ['a:1'], { tls: 'yes' }, /the options of a KvClient\.tls: /],
  ['no options', ['a:1'], null, /the options of a KvClient: /],
])('a client with %s is refused, and says what is wrong', (_, addresses, options, message) => {
  const make = (): KvClient => new KvClient(addresses as string[], options as object);
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  expect(make).toThrow(message);
});

test('the text "false" is not no', async () => {
  const client = new KvClient(['127.0.0.1:1']);
  await expect(client.get('a', 'false' as never)).rejects.toThrow(/stale: .*; give true or false/);
  client.close();
});

test('a client whom nobody answers says whom it asked', async () => {
  const client = new KvClient(['127.0.0.1:1', '127.0.0.1:2']);
  await expect(client.get('a')).rejects.toThrow(
    /no replica at 127\.0\.0\.1:1, 127\.0\.0\.1:2 answered the call \(last: .*\); check that they run/,
  );
  client.close();
});
