import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { RaftHost } from '../../framework/raft/index.ts';
import { type Replica, startReplica } from '../../framework/smr/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { type CommandRecord, checkCommands, Memory, must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const GROUPS = ['a', 'b', 'c'];
const PORT = 7001;
const SNAPSHOT_EVERY = 20;
const CALL_MS = 3_000;
/** How often a client sends a command whose outcome it does not know. */
const ATTEMPTS = 3;

const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

type MemoryReplica = Replica<string, number, Memory>;

interface Host extends Process {
  readonly replicas: ReadonlyMap<string, MemoryReplica>;
}

/** A member of each group, with a replica of a machine on it that compacts the group's log. */
async function startHost(ports: Ports, name: string): Promise<Host> {
  const memberId = NODES.indexOf(name) + 1;
  const host = await RaftHost.open({ ports, address: `${name}:${PORT}`, directory: 'raft' });
  const replicas = new Map<string, MemoryReplica>();
  for (const groupId of GROUPS) {
    const log = await host.openGroup({ groupId, memberId, members });
    const machine = new Memory();
    replicas.set(
      groupId,
      await startReplica({ machine, log, ports, snapshotEvery: SNAPSHOT_EVERY }),
    );
  }
  const close = async (): Promise<void> => {
    for (const replica of replicas.values()) await replica.close();
    await host.close();
  };
  return { replicas, close };
}

/**
 * Hosts of Raft groups through a few seconds of faults from a seed: drivers, connections, a shared journal, and state
 * machines with snapshots. When all is well again, what clients were told holds at every replica of each group.
 */
export async function groupsScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    for (const name of NODES) world.node(name, (ports) => startHost(ports, name));
    const histories = new Map(GROUPS.map((it) => [it, [] as CommandRecord[]]));
    let over = false;
    const clients = GROUPS.map((groupId) =>
      runCommands(world, groupId, histories.get(groupId)!, () => over),
    );
    await withFaults(world, NODES);
    over = true;
    await world.play(() => Promise.all(clients), 60_000);
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

async function execute(
  world: World,
  node: string,
  groupId: string,
  command: string,
): Promise<CommandRecord['outcome']> {
  const host = world.isRunning(node) ? (world.process(node) as Host | undefined) : undefined;
  if (host === undefined) return 'notAppended';
  const { clock } = world.ports(`client of ${groupId}`);
  const executed = host.replicas
    .get(groupId)!
    .execute(command, { timeoutMs: CALL_MS, requestId: command })
    .then(
      () => 'done' as const,
      (error: unknown) => {
        if (!VarlogError.is(error)) throw error;
        return error.outcome === 'notAppended' ? error.outcome : 'unknown';
      },
    );
  // Of a process that crashed nothing is heard any more.
  const silence = sleep(clock, 2 * CALL_MS).then(() => 'unknown' as const);
  return Promise.race([executed, silence]);
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
