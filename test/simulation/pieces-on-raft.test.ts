import type { Ports } from '../../framework/base/index.ts';
import { RaftGroup } from '../../framework/raft/index.ts';
import { type Replica, startReplica } from '../../framework/smr/index.ts';
import { WordCounts } from '../../framework/smr/word-counts.fixture.ts';
import { type Process, World } from '../../framework/testing/index.ts';

const NODES = ['a', 'b', 'c'];
const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:1` }));
const WORDS = 60;
const WORD_CHARACTERS = 20_000;

interface Node extends Process {
  readonly log: RaftGroup;
  readonly replica: Replica<string, number, WordCounts>;
}

async function start(ports: Ports, name: string): Promise<Node> {
  const [memberId, directory] = [NODES.indexOf(name) + 1, 'raft'];
  const retain = { entries: 0 };
  const log = await RaftGroup.open({ ports, groupId: 'g', memberId, members, directory, retain });
  await ports.network.serve(`${name}:1`, log.handlers);
  const replica = await startReplica({ machine: new WordCounts(), log, ports });
  const close = async (): Promise<void> => {
    await replica.close();
    await log.close();
  };
  return { log, replica, close };
}

test('a state in pieces goes to a member that lags piece by piece, and no two pieces are in memory for long', async () => {
  const world = new World(1);
  try {
    for (const name of NODES) world.node(name, (ports) => start(ports, name));
    await world.started();
    const at = (name: string): Node => world.process(name) as Node;
    const lead = (): string | undefined => NODES.find((it) => at(it)?.log.leads());
    await world.until(() => lead() !== undefined, 20_000);
    const leader = lead()!;
    const behind = NODES.find((it) => it !== leader)!;
    world.crash(behind);
    const word = (i: number): string => `${i}`.padEnd(WORD_CHARACTERS, 'x');
    await world.play(async () => {
      for (let i = 0; i < WORDS; i++) await at(leader).replica.execute(word(i));
    }, 120_000);
    let largestWrite = 0;
    for (const name of [leader, behind]) {
      world.disk(name).onOperation = ({ kind, path, bytes = 0 }) => {
        if (kind === 'write' && path.includes('snapshot'))
          largestWrite = Math.max(largestWrite, bytes);
      };
    }
    await world.play(async () => {
      for (const name of NODES) await at(name)?.replica.snapshot();
    }, 60_000);
    await world.play(() => at(leader).replica.execute('last'), 60_000);
    world.restart(behind);
    const total = WORDS + 1;
    await world.until(() => at(behind)?.replica.machine.total === total, 60_000);
    expect(at(behind).log.metrics.snapshotsInstalled).toBe(1);
    expect(at(behind).replica.machine.state).toEqual(at(leader).replica.machine.state);
    expect(largestWrite).toBeGreaterThan(0);
    expect(largestWrite).toBeLessThan((WORDS * WORD_CHARACTERS) / 3);
  } finally {
    world.close();
  }
}, 60_000);
