import { SeededRandom, SimulatedDisk } from '../testing/index.ts';
import { initialConfiguration } from './group-options.ts';
import { bytes, SimulatedGroup } from './simulated.fixture.ts';
import { SnapshotFolder } from './snapshot-folder.ts';

const configuration = initialConfiguration([{ id: 1, address: 'a' }], false);

/** A state of which the end comes when it is told to. */
function stateInTwo(): { state: AsyncIterable<Uint8Array>; begun: Promise<void>; end: () => void } {
  let end = (): void => {};
  let begin = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  async function* parts(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(300_000).fill(1);
    begin();
    await ended;
    yield new Uint8Array(300_000).fill(2);
  }
  return { state: parts(), begun, end };
}

test('a snapshot that is given up late does not touch those of whoever has the folder now', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const failures: unknown[] = [];
  const open = async (signal: AbortSignal): Promise<SnapshotFolder> =>
    SnapshotFolder.open({
      ...{ disk, directory: 'raft', label: 'a member', signal },
      onFailure: (error) => failures.push(error),
    });
  const closing = new AbortController();
  const before = await open(closing.signal);
  const [old, next] = [stateInTwo(), stateInTwo()];
  const late = before.capture({ index: 5, term: 1, configuration }, old.state);
  await old.begun;
  closing.abort();
  const after = await open(new AbortController().signal);
  const captured = after.capture({ index: 7, term: 1, configuration }, next.state);
  await next.begun;
  old.end();
  await expect(late).rejects.toThrow(/abort/);
  next.end();
  expect(await captured).toBe(true);
  expect([after.newest?.index, failures, disk.openFiles]).toEqual([7, [], 0]);
  expect(disk.files().map((it) => it.path)).toEqual(['raft/snapshot']);
});

test('a member that is closed while it gets a snapshot leaves nothing open', async () => {
  const group = new SimulatedGroup({ retain: { entries: 0 } });
  const { world } = group;
  try {
    const leader = await group.leader();
    const [behind, other] = group.followers(leader);
    world.crash(behind);
    const { fate: position } = await group.fate(group.at(leader).append([bytes('x')]));
    for (const name of [leader, other]) {
      await group.fate(group.at(name).compact(position as number, new Uint8Array(4_000_000)));
    }
    world.restart(behind);
    let left = 5;
    const disk = world.disk(behind);
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'write' && path.includes('snapshot')) left--;
    };
    await world.until(() => left <= 0, 60_000);
    await group.fate(group.at(behind).close());
    await world.run(1_000);
    expect(disk.openFiles).toBe(0);
  } finally {
    world.close();
  }
});
