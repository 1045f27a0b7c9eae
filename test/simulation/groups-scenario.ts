import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { RaftGroup, RaftHost } from '../../framework/raft/index.ts';
import { type Replica, startReplica } from '../../framework/smr/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { diskClimate, withDiskFaults } from './disk-faults.ts';
import { withFaults } from './faults.ts';
import { type CommandRecord, checkCommands, Memory, must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const GROUPS = ['a', 'b', 'c'];
const PORT = 7001;
const CALL_MS = 3_000;
/** How much later than asked for a call may be answered, while its process runs. */
const LATE_MS = 400;
const BEAT_MS = 50;
/** How often a client sends a command whose outcome it does not know. */
const ATTEMPTS = 3;

const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

type MemoryReplica = Replica<string, number, Memory>;

interface Host extends Process {
  readonly replicas: ReadonlyMap<string, MemoryReplica>;
  readonly groups: ReadonlyMap<string, RaftGroup>;
  /** How often 50 ms have passed for this process; none do while it is paused. */
  readonly beats: () => number;
}

/** What differs from seed to seed. */
interface Climate {
  /** Groups share a host with a journal, or have files of their own. */
  readonly hosted: boolean;
  readonly snapshotEvery: number;
  readonly retain: { readonly entries?: number; readonly bytes?: number };
}

/** What came up, of what must come up now and then. */
export type Probes = Set<
  'snapshot installed' | 'compaction refused' | 'disk full' | 'disk stalled'
>;

/** A member of each group, with a replica of a machine on it that compacts the group's log. */
async function openHost(ports: Ports, name: string, climate: Climate): Promise<Host> {
  const memberId = NODES.indexOf(name) + 1;
  const { hosted, snapshotEvery, retain } = climate;
  const address = `${name}:${PORT}`;
  const host = hosted
    ? await RaftHost.open({ ports, address, directory: 'raft' })
    : { server: await ports.network.serve(address, []), close: () => host.server.close() };
  const replicas = new Map<string, MemoryReplica>();
  const groups = new Map<string, RaftGroup>();
  const close = async (): Promise<void> => {
    for (const replica of replicas.values()) await replica.close();
    for (const group of groups.values()) await group.close();
    await host.close();
  };
  try {
    for (const groupId of GROUPS) {
      const options = { groupId, memberId, members, retain };
      let log: RaftGroup;
      if (host instanceof RaftHost) log = await host.openGroup(options);
      else {
        log = await RaftGroup.open({ ...options, ports, directory: `raft-${groupId}` });
        host.server.add(log.handlers);
      }
      groups.set(groupId, log);
      const machine = new Memory();
      replicas.set(groupId, await startReplica({ machine, log, ports, snapshotEvery }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  let beats = 0;
  const beat = (): void => {
    beats++;
    ports.clock.after(BEAT_MS, beat);
  };
  beat();
  return { replicas, groups, beats: () => beats, close };
}

/** As a service manager does: a process that finds no room on its disk is started again. */
async function startHost(ports: Ports, name: string, climate: Climate): Promise<Host> {
  for (;;) {
    try {
      return await openHost(ports, name, climate);
    } catch (error) {
      if (!/DISK_FULL/.test(String(error))) throw error;
    }
    await sleep(ports.clock, 300);
  }
}

/**
 * Hosts of Raft groups through a few seconds of faults from a seed: drivers, connections, a shared journal, and state
 * machines with snapshots, on disks that are slow, hang, and are full at times. Whoever asks is answered in time. When
 * all is well again, what clients were told holds at every replica of each group.
 */
export async function groupsScenario(seed: number, probes?: Probes): Promise<RunReport> {
  const world = new World(seed);
  try {
    const random = world.random.stream('climate');
    const retained = [
      { entries: 0 },
      { entries: 5 },
      { bytes: 500 },
      { entries: 50, bytes: 0 },
      {},
    ];
    const climate: Climate = {
      hosted: random.below(2) === 0,
      snapshotEvery: [3, 20, 60][random.below(3)]!,
      retain: retained[random.below(retained.length)]!,
    };
    for (const name of NODES) world.node(name, (ports) => startHost(ports, name, climate));
    const histories = new Map(GROUPS.map((it) => [it, [] as CommandRecord[]]));
    let over = false;
    const clients = GROUPS.map((groupId) =>
      runCommands(world, groupId, histories.get(groupId)!, () => over),
    );
    const asking = GROUPS.map((groupId) => runMembers(world, groupId, () => over, probes));
    const faulty = withDiskFaults(world, NODES, diskClimate(random), () => over);
    await withFaults(world, NODES);
    over = true;
    await world.play(() => Promise.all([...clients, ...asking, faulty]), 60_000);
    // Who was about to be killed was.
    await world.run(2_000);
    for (const name of NODES) world.restart(name);
    await world.started();
    await world.play(() => check(world, histories), 60_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

async function runCommands(
  world: World,
  groupId: string,
  commands: CommandRecord[],
  over: () => boolean,
): Promise<void> {
  const { clock, random } = world.ports(`client of ${groupId}`);
  for (let i = 0; !over(); i++) {
    await sleep(clock, 10 + random.below(40));
    const it: CommandRecord = { command: `${groupId} ${i}`, outcome: 'unknown' };
    commands.push(it);
    let certain = true;
    // Whoever does not know asks again, elsewhere: it is one request.
    for (let attempt = 0; attempt < ATTEMPTS && it.outcome !== 'done'; attempt++) {
      const outcome = await execute(
        world,
        NODES[(i + attempt) % NODES.length]!,
        groupId,
        it.command,
      );
      if (outcome === 'done') it.outcome = outcome;
      certain &&= outcome === 'notAppended';
    }
    if (certain && it.outcome !== 'done') it.outcome = 'notAppended';
  }
}

/** Asks members of a group for their tail, and appends to it what its machines take for nothing. */
async function runMembers(
  world: World,
  groupId: string,
  over: () => boolean,
  probes: Probes | undefined,
): Promise<void> {
  const { clock, random } = world.ports(`members of ${groupId}`);
  const asked: Promise<void>[] = [];
  while (!over()) {
    await sleep(clock, 50 + random.below(150));
    const name = NODES[random.below(NODES.length)]!;
    const host = world.process(name) as Host | undefined;
    const group = host?.groups.get(groupId);
    if (group === undefined) continue;
    const timeoutMs = 100 + random.below(CALL_MS - 100);
    const tail = group.tail({ timeoutMs }).then(
      () => {},
      (error: unknown) => must(VarlogError.is(error), `tail() failed with ${error}`),
    );
    asked.push(inTime(world, name, tail, timeoutMs));
    const { snapshotsInstalled, compactionsFailed, diskTrouble } = group.metrics;
    if (snapshotsInstalled > 0) probes?.add('snapshot installed');
    if (compactionsFailed > 0) probes?.add('compaction refused');
    if (diskTrouble !== undefined) probes?.add(`disk ${diskTrouble}`);
  }
  await Promise.all(asked);
}

/** Waits for a call that is to be answered within its time, as its process counts it; of one that crashed nothing is heard. */
async function inTime(
  world: World,
  name: string,
  call: Promise<void>,
  timeoutMs: number,
): Promise<void> {
  const { clock } = world.ports('watch');
  const host = world.process(name) as Host | undefined;
  let settled = false;
  const done = call.finally(() => {
    settled = true;
  });
  const end = (host?.beats() ?? 0) + (timeoutMs + LATE_MS) / BEAT_MS;
  while (!settled && host !== undefined && world.process(name) === host) {
    must(host.beats() <= end, `a call at ${name} of ${timeoutMs} ms is not answered`);
    await Promise.race([done, sleep(clock, BEAT_MS)]);
  }
}

async function execute(
  world: World,
  node: string,
  groupId: string,
  command: string,
): Promise<CommandRecord['outcome']> {
  const host = world.isRunning(node) ? (world.process(node) as Host | undefined) : undefined;
  if (host === undefined) return 'notAppended';
  let outcome: CommandRecord['outcome'] = 'unknown';
  const executed = host.replicas
    .get(groupId)!
    .execute(command, { timeoutMs: CALL_MS, requestId: command })
    .then(
      () => {
        outcome = 'done';
      },
      (error: unknown) => {
        if (!VarlogError.is(error)) throw error;
        outcome = error.outcome === 'notAppended' ? error.outcome : 'unknown';
      },
    );
  // A process that crashed answers nothing any more.
  await inTime(world, node, executed, CALL_MS);
  return outcome;
}

async function check(world: World, histories: Map<string, CommandRecord[]>): Promise<void> {
  for (const [groupId, commands] of histories) {
    const states: string[] = [];
    const host = world.process(NODES[0]!) as Host;
    await host.replicas.get(groupId)!.execute('the end', { timeoutMs: 30_000 });
    for (const name of NODES) {
      const replica = (world.process(name) as Host).replicas.get(groupId)!;
      const seen = await replica.query((it) => [...it.seen], { timeoutMs: 30_000 });
      checkCommands(seen, commands);
      states.push(JSON.stringify(seen));
    }
    must(new Set(states).size === 1, `the replicas of ${groupId} differ`);
  }
}
