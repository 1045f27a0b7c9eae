import { MemoryLog } from '../memory-log.ts';
import { replicaContract } from './replica.ts';

const make = async () => ({ log: new MemoryLog(), close: async () => {} });

test('a log that does not have what it is said to have, or has more, is found', async () => {
  const first = (lacks: Parameters<typeof replicaContract>[1]) => replicaContract(make, lacks)[0]!;
  const right = first({ lacks: ['hold', 'trim'] });
  expect(right.title).toBe('has compact of compact, hold, trim');
  await right.run();
  await expect(first({}).run()).rejects.toThrow(/the log has compact; .*lacks: \["hold","trim"\]/);
  await expect(first({ lacks: ['compact', 'hold', 'trim'] }).run()).rejects.toThrow(/has compact/);
});

test('titles say what a log was tested without', () => {
  const titles = (lacks?: ('compact' | 'hold')[]) =>
    replicaContract(make, lacks && { lacks }).map((it) => it.title);
  expect(titles().some((it) => it.includes('without compact'))).toBe(false);
  expect(titles(['compact', 'hold'])).toContainEqual(
    expect.stringMatching(/goes on from its snapshot.* \(without compact, hold\)$/),
  );
});
