import type { Ports } from '../../base/index.ts';
import { noLogger } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { Trash } from './trash.ts';

let disk: SimulatedDisk;
let wallMs = 1_000_000;
const clock = { ...realClock(), wall: () => wallMs };
const ports = (): Ports => ({
  clock,
  random: realRandom,
  disk,
  network: new GrpcNetwork(),
  logger: noLogger,
});

async function make(logStreamId: number, text: string): Promise<void> {
  await disk.makeDirectory(`node/replicas/${logStreamId}`);
  const file = await disk.open(`node/replicas/${logStreamId}/state`, 'create');
  await file.write(0, [new TextEncoder().encode(text)]);
  await file.sync();
  await file.close();
  await disk.syncDirectory(`node/replicas/${logStreamId}`);
}

async function textIn(logStreamId: number): Promise<string> {
  const file = await disk.open(`node/replicas/${logStreamId}/state`, 'existing');
  const bytes = await file.read(0, await file.size());
  await file.close();
  return new TextDecoder().decode(bytes);
}

beforeEach(() => {
  disk = new SimulatedDisk({ random: realRandom });
});

test('what was taken away is brought back, the newest first, also after a power loss', async () => {
  const trash = await Trash.open(ports(), 'node', 60_000);
  await make(1, 'old');
  await trash.put(1);
  wallMs += 5;
  await make(1, 'new');
  await trash.put(1);
  disk.crash('powerLoss');
  const again = await Trash.open(ports(), 'node', 60_000);
  expect(again.size).toBe(2);
  await again.bringBack(1);
  expect(await textIn(1)).toBe('new');
  await again.bringBack(2);
  expect(await disk.list('node/replicas')).toEqual(['1']);
  expect(again.size).toBe(1);
  trash.close();
  again.close();
});

test('what is unfit is kept for people, and never brought back', async () => {
  const trash = await Trash.open(ports(), 'node', 60_000);
  await make(1, 'damaged');
  await trash.put(1, true);
  await trash.bringBack(1);
  expect(await disk.list('node/replicas')).toEqual([]);
  expect(await trash.list()).toHaveLength(1);
  trash.close();
});

test('what was here for long enough is deleted, and nothing else', async () => {
  const trash = await Trash.open(ports(), 'node', 60_000);
  await make(1, 'a');
  await trash.put(1);
  trash.close();
  wallMs += 59_000;
  const kept = await Trash.open(ports(), 'node', 60_000);
  expect(kept.size).toBe(1);
  kept.close();
  wallMs += 2_000;
  const emptied = await Trash.open(ports(), 'node', 60_000);
  expect([emptied.size, await disk.list('node/trash')]).toEqual([0, []]);
  emptied.close();
});

test('what is being deleted is not brought back, however far that is', async () => {
  const trash = await Trash.open(ports(), 'node', 60_000);
  await make(1, 'a');
  await trash.put(1);
  trash.close();
  wallMs += 61_000;
  // Deleting takes many steps: it ends at the first, and may have removed any file by then.
  disk.faults = { fail: ({ kind }) => (kind === 'remove' ? 'EIO' : undefined) };
  const failed = await Trash.open(ports(), 'node', 60_000);
  expect(failed.size).toBe(1);
  failed.close();
  disk.faults = {};
  // With more time to keep it, or a clock that was set back, it is too young to be deleted.
  const again = await Trash.open(ports(), 'node', 120_000);
  again.close();
  await again.bringBack(1);
  expect([again.size, await disk.list('node/replicas')]).toEqual([0, []]);
});
