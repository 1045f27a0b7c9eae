import { Varlog } from 'varlog/log';
import { topicAddress } from './topic-address.ts';

test.each([
  ['a:9092', undefined, 1],
  ['a:9092,b:9092', '7', 7],
  ['varlog://a,b', undefined, 1],
  ['varlog://a,b', '7', 7],
  ['varlog://a,b/7', undefined, 7],
  ['varlog://a,b/7', '7', 7],
  ['varlog://[::1]:9092/7', undefined, 7],
  ['varlog://[::1]:9092', '7', 7],
])('--varlog %s --topic %s: topic %d', (endpoints, given, topic) => {
  expect(topicAddress(endpoints, given)).toEqual({ endpoints, topic });
});

test.each([
  ['varlog://a,b/7', '8', '--varlog names topic 7, and --topic names 8'],
  ['varlog://[::1]/7', '1', '--varlog names topic 7, and --topic names 1'],
  ['a:9092', 'x', '--topic x is not a topic'],
  ['a:9092', '0', '--topic 0 is not a topic'],
])('--varlog %s --topic %s is refused', (endpoints, given, message) => {
  expect(() => topicAddress(endpoints, given)).toThrow(message);
});

test.each(['varlog://a,b/x', 'varlog://a,b/0', 'a:9092/7', 'varlog://a/7/8'])(
  '--varlog %s is refused by the client',
  async (endpoints) => {
    const address = topicAddress(endpoints, undefined);
    await expect(Varlog.connect(address)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  },
);
