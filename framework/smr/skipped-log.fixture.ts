import { MemoryLog } from '../testing/memory-log.ts';
import { type MachineDefinition, skipCommand, startReplica } from './index.ts';
import { type Sums, sumsWith } from './sums.fixture.ts';

/** It cannot apply its third command. */
export const breaking: MachineDefinition = sumsWith({ at: 3, kind: 'failure' });

/** A log whose third command is at `position`, behind `forkAt`, and is to be passed over by order of the entry after it. */
export async function logWithSkip(): Promise<{ log: MemoryLog; forkAt: number; position: number }> {
  const log = new MemoryLog();
  await using replica = await startReplica({ machine: breaking.make() as Sums, log });
  for (const value of [1, 2]) await replica.execute({ key: 'a', value });
  const forkAt = await log.tail();
  await expect(replica.execute({ key: 'a', value: 3 })).rejects.toThrow();
  const position = await log.tail();
  await skipCommand(log, position);
  return { log, forkAt, position };
}
