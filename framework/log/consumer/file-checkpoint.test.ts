import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointStoreContract } from '../../testing/contracts/index.ts';
import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import { checkpointDirectory } from '../index.ts';
import { FileCheckpointStore } from './index.ts';

describe('a checkpoint in a folder keeps the contract of all checkpoint stores', () => {
  const real = async () => {
    const path = await mkdtemp(join(tmpdir(), 'checkpoint-'));
    const close = (): Promise<void> => rm(path, { recursive: true });
    const reopen = async () => checkpointDirectory(path);
    return { store: await reopen(), reopen, close };
  };
  const simulated = async () => {
    const disk = new SimulatedDisk({ random: new SeededRandom('contract') });
    const reopen = async () => new FileCheckpointStore(disk.mount());
    return { store: await reopen(), reopen, close: async () => {} };
  };
  describe('on a real disk', () => {
    for (const { title, run } of checkpointStoreContract(real)) test(title, run);
  });
  describe('on a simulated one', () => {
    for (const { title, run } of checkpointStoreContract(simulated)) test(title, run);
  });
});

test('a checkpoint that is damaged is told, with what can be done about it', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom('damage') });
  const owner = { log: 'topic 1 of cluster c', consumer: 'mailer', epoch: 1 };
  await new FileCheckpointStore(disk.mount()).open(owner);
  disk.flipBit('checkpoint', 20);
  await expect(new FileCheckpointStore(disk.mount()).open(owner)).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringMatching(/checkpoint is damaged; put back a copy of it; or remove it/),
  });
});
