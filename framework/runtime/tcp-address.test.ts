import { isWildcard, localAddress, tcpAddress } from './tcp-address.ts';

test.each([
  ['127.0.0.1:9092', '127.0.0.1', 9092],
  ['node-1.example:0', 'node-1.example', 0],
  ['[::1]:65535', '[::1]', 65_535],
  ['[::ffff:10.0.0.1]:1', '[::ffff:10.0.0.1]', 1],
  ['[fe80::1%eth0]:1', '[fe80::1%eth0]', 1],
])('%s is an address', (address, host, port) => {
  expect(tcpAddress(address)).toEqual({ host, port });
});

test.each(['', 'a', 'a:', ':1', '::1:9092', '[::1]', 'a:65536', 'a:1/x', '[x]:1', 'http://a:1'])(
  '%p is none',
  (address) => {
    expect(() => tcpAddress(address)).toThrow('INVALID_ARGUMENT');
  },
);

test('what listens everywhere is reached on loopback', () => {
  expect(localAddress('0.0.0.0:1')).toBe('127.0.0.1:1');
  expect(localAddress('[::]:1')).toBe('[::1]:1');
  expect(localAddress('[0:0:0:0:0:0:0:0]:1')).toBe('[::1]:1');
  expect(localAddress('10.0.0.1:1')).toBe('10.0.0.1:1');
  expect(isWildcard('[::1]:1')).toBe(false);
});
