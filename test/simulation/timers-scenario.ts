import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { RaftGroup } from '../../framework/raft/index.ts';
import { type AlarmCommand, Alarms, checkAlarms } from '../../framework/smr/alarms.fixture.ts';
import { type Replica, startReplica } from '../../framework/smr/index.ts';
import { MemoryLog, type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const PORT = 7001;
const CALL_MS = 2_000;
/** A wall clock is set by up to so much. */
const JUMP_MS = 5_000;
/** When all is well, and nobody writes, everything must have rung by then: a late clock is followed at half its speed. */
const QUIET_MS = 2 * 60_000;

const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

interface Node extends Process {
  readonly replica: Replica<AlarmCommand, number, Alarms>;
}

/** A log that all nodes share, and that nothing ever happens to. */
const sharedNode =
  (log: MemoryLog) =>
  async (ports: Ports, snapshotEvery: number): Promise<Node> => {
    const replica = await startReplica({ machine: new Alarms(), log, ports, snapshotEvery });
    return { replica, close: () => replica.close() };
  };

async function startMember(ports: Ports, name: string, snapshotEvery: number): Promise<Node> {
  const memberId = NODES.indexOf(name) + 1;
  const retain = { entries: 5 };
  const options = { ports, groupId: 'alarms', memberId, members, retain, directory: 'raft' };
  const log = await RaftGroup.open(options);
  const server = await ports.network.serve(`${name}:${PORT}`, log.handlers);
  const replica = await startReplica({ machine: new Alarms(), log, ports, snapshotEvery });
  const close = async (): Promise<void> => {
    await replica.close();
    await log.close();
    await server.close();
  };
  return { replica, close };
}

/**
 * Alarms that are set and stopped on three members of a Raft group, or on three replicas of a log in memory, which takes less
 * time, through crashes, partitions, pauses and wall clocks that are set. All note the same, and what they note is what
 * alarms are to do; when all is well again and nobody writes, all ring.
 */
export async function timersScenario(
  seed: number,
  kind: 'raft' | 'memory' = 'raft',
): Promise<RunReport> {
  const world = new World(seed);
  try {
    const random = world.random.stream('climate');
    const often = kind === 'raft' ? [3, 10, 1_000] : [2, 3, 10];
    const snapshotEvery = often[random.below(3)]!;
    const startShared = sharedNode(new MemoryLog());
    for (const name of NODES)
      world.node(name, (ports) =>
        kind === 'raft'
          ? startMember(ports, name, snapshotEvery)
          : startShared(ports, snapshotEvery),
      );
    let over = false;
    const clients = NODES.map((_, i) => runClient(world, i, () => over));
    const clocks = setClocks(world, () => over);
    await withFaults(world, NODES);
    over = true;
    await world.play(() => Promise.all([...clients, clocks]), 60_000);
    // Who was about to be killed was.
    await world.run(2_000);
    for (const name of NODES) world.restart(name);
    await world.started();
    await world.play(() => check(world), 2 * QUIET_MS);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

async function runClient(world: World, client: number, over: () => boolean): Promise<void> {
  const { clock, random } = world.ports(`client ${client}`);
  while (!over()) {
    await sleep(clock, 20 + random.below(400));
    const name = NODES[random.below(NODES.length)]!;
    if (!world.isRunning(name)) continue;
    const node = world.process(name) as Node | undefined;
    const command: AlarmCommand =
      random.below(4) === 0
        ? { op: 'stop', nth: random.below(1_000) }
        : {
            op: 'set',
            ms: random.below(random.below(2) === 0 ? 50 : 8_000),
            again: random.below(3),
          };
    const executed = node?.replica.execute(command, { timeoutMs: CALL_MS }).then(
      () => {},
      (error: unknown) => must(VarlogError.is(error), `execute() failed with ${error}`),
    );
    // A process that crashed answers nothing any more.
    await Promise.race([executed, sleep(clock, CALL_MS)]);
  }
}

async function setClocks(world: World, over: () => boolean): Promise<void> {
  const { clock, random } = world.ports('clocks');
  while (!over()) {
    await sleep(clock, 1_000 + random.below(4_000));
    const name = NODES[random.below(NODES.length)]!;
    if (!over()) world.jumpWallClock(name, random.below(2 * JUMP_MS) - JUMP_MS);
  }
}

async function check(world: World): Promise<void> {
  const { clock } = world.ports('check');
  const replicas = NODES.map((name) => (world.process(name) as Node).replica);
  for (const it of replicas) await it.caughtUp({ timeoutMs: 30_000 });
  const end = clock.now() + QUIET_MS;
  while (replicas.some((it) => it.machine.pending > 0) && clock.now() < end)
    await sleep(clock, 1_000);
  for (const it of replicas) await it.caughtUp({ timeoutMs: 30_000 });
  const [first, ...others] = replicas.map((it) => it.machine.notes);
  const { problems, pending } = checkAlarms(first!);
  must(problems.length === 0, problems.slice(0, 3).join('; '));
  for (const notes of others)
    must(JSON.stringify(notes) === JSON.stringify(first), 'the replicas differ');
  must(pending === 0, `${pending} alarms never rang`);
}
