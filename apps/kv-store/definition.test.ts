import { replay, startReplica, why } from 'varlog/smr';
import { MemoryLog } from 'varlog/testing';
import { machine } from './definition.ts';
import { keyOfText } from './key.ts';
import type { KvCommand } from './machine.ts';

test('the log of a store is replayed, and says why a key has the value that it has', async () => {
  const log = new MemoryLog();
  const replica = await startReplica({ ...machine, machine: machine.make(), log });
  const put = (key: string, value: string): KvCommand => ({
    op: 'put',
    key: keyOfText(key),
    value: Buffer.from(value),
  });
  await replica.execute(put('color', 'blue'));
  await replica.execute(put('other', 'thing'));
  await replica.execute(put('color', 'green'));
  await replica.execute({ op: 'delete', key: keyOfText('color') });
  await replica.close();
  const definition = machine;
  const verdict = await replay({ log, machine: definition, against: definition });
  expect(verdict).toMatchObject({ commands: 4 });
  expect(verdict.difference).toBeUndefined();
  const values: unknown[] = [];
  for await (const it of why({ log, machine: definition, key: 'color' })) values.push(it.value);
  expect(values).toEqual([
    { value: 'blue', revision: expect.any(Number) },
    { value: 'green', revision: expect.any(Number) },
    undefined,
  ]);
});
