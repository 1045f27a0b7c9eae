import { joined } from '../base/index.ts';
import type { DiskOperation } from '../testing/simulator/mounted-disk.ts';
import { bytes, type Name, SimulatedGroup } from './simulated.fixture.ts';

const PART_BYTES = 16 * 1024;
const PARTS = 200;
const SLOW_MS = 50;

const partOf = (i: number): Uint8Array => new Uint8Array(PART_BYTES).fill(i);
const whole = Buffer.concat(Array.from({ length: PARTS }, (_, i) => partOf(i)));

let group: SimulatedGroup;

beforeEach(() => {
  group = new SimulatedGroup({ retain: { entries: 0 } });
});

afterEach(() => group.world.close());

/** Appends one command, and gives its position. */
async function append(name: Name): Promise<number> {
  return (await group.fate(group.at(name).append([bytes('x')]))).fate as number;
}

function snapshotFiles(name: Name): string[] {
  const files = group.world.disk(name).files();
  return files.map(({ path }) => path).filter((it) => it.startsWith('raft/snapshot'));
}

/** The state that a follower of a member's log begins with. */
async function stateAt(name: Name): Promise<Uint8Array | undefined> {
  const found = await group.world.play(async () => {
    for await (const it of group.at(name).follow(1)) {
      return it.kind === 'snapshot' ? await joined(it.state) : undefined;
    }
    return undefined;
  }, 60_000);
  return found;
}

test('a state is written as it comes, and comes no faster than the disk takes it', async () => {
  const leader = await group.leader();
  const position = await append(leader);
  let made = 0;
  let written = 0;
  let ahead = 0;
  const { world } = group;
  const disk = world.disk(leader);
  const isOfIt = ({ kind, path }: DiskOperation) => kind === 'write' && path.includes('snapshot');
  disk.faults = { latencyMs: (it) => (isOfIt(it) ? SLOW_MS : 0.1) };
  disk.onOperation = (it) => {
    if (isOfIt(it)) world.after(SLOW_MS, () => (written += it.bytes ?? 0));
  };
  async function* state(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < PARTS; i++) {
      made += PART_BYTES;
      ahead = Math.max(ahead, made - written);
      yield partOf(i);
    }
  }
  expect((await group.fate(group.at(leader).compact(position, state()))).fate).toBeUndefined();
  // A block or two, of all that it is.
  expect(ahead).toBeLessThan(whole.length / 4);
  disk.onOperation = () => {};
  disk.faults = {};
  const stored = { snapshotIndex: position, snapshotBytes: whole.length };
  expect(group.at(leader).metrics).toMatchObject(stored);
  // It was durable when that was said.
  group.world.crash(leader, { powerLoss: true });
  group.world.restart(leader);
  await group.world.until(() => group.at(leader)?.status.first === position + 1);
  expect(Buffer.from((await stateAt(leader))!).equals(whole)).toBe(true);
});

test('a state that breaks off changes nothing, and is told to its maker', async () => {
  const leader = await group.leader();
  const member = group.at(leader);
  const first = await append(leader);
  await group.fate(member.compact(first, bytes('before')));
  const position = await append(leader);
  async function* state(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < PARTS; i++) {
      if (i === PARTS / 2) throw new Error('the machine ended');
      yield partOf(i);
    }
  }
  const { fate } = await group.fate(
    member.compact(position, state()).catch((error: Error) => error.message),
  );
  expect([fate, member.status.role]).toEqual(['the machine ended', 'leader']);
  expect(Buffer.from((await stateAt(leader))!).toString()).toBe('before');
  expect(snapshotFiles(leader)).toEqual(['raft/snapshot']);
});

test.each(['kill', 'powerLoss'] as const)(
  'a member that dies (%s) while it gets a snapshot has none of it, and gets it again',
  async (mode) => {
    const leader = await group.leader();
    const [behind, other] = group.followers(leader);
    const { world } = group;
    world.crash(behind);
    const position = await append(leader);
    for (const name of [leader, other]) {
      await group.fate(group.at(name).compact(position, whole));
    }
    world.restart(behind);
    for (let writes = 2; writes < 12; writes += 3) {
      let left = writes;
      const disk = world.disk(behind);
      disk.onOperation = ({ kind, path }) => {
        if (kind === 'write' && path.includes('snapshot')) left--;
      };
      await world.until(() => left <= 0, 60_000);
      expect(snapshotFiles(behind).some((it) => it.startsWith('raft/snapshot.'))).toBe(true);
      world.crash(behind, { powerLoss: mode === 'powerLoss' });
      disk.onOperation = () => {};
      world.restart(behind);
      await world.until(() => group.at(behind) !== undefined);
      expect(group.at(behind).status.first).toBe(1);
      expect(snapshotFiles(behind)).toEqual([]);
    }
    await world.until(() => group.at(behind).status.first > 1, 60_000);
    expect(Buffer.from((await stateAt(behind))!).equals(whole)).toBe(true);
    expect(snapshotFiles(behind)).toEqual(['raft/snapshot']);
  },
);
