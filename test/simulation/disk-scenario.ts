import { describeHealth } from '../../framework/log/metadata-repository/describe-health.ts';
import type { NodeRoles } from '../../framework/log/roles/index.ts';
import {
  type DiskFaults,
  type RunReport,
  type SimulatedDisk,
  World,
} from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { type Answer, checkAnswers, readFromEach } from './each-replica.ts';
import { must } from './memory.ts';
import { makeTopic, startNode } from './three-nodes.ts';

const NODES = ['n1', 'n2', 'n3'];
const CLIENTS = 2;
const STEPS = 4;
const WHOLE_WITHIN_MS = 120_000;
const REPLICAS = 'storage/replicas/';

/**
 * Disks of one node at a time go wrong: writes that fail, no room, too many files, damaged bytes, lost folders; also while its
 * process, or another one, is killed. All the time readers ask every single replica, by the published calls. What
 * an answer calls complete must be so, nothing that was acknowledged may be lost, and every log stream must
 * be whole again after each, without a person.
 */
export async function diskScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    for (const name of NODES) world.node(name, (ports) => startNode(ports, name));
    const topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    const history: History = { attempts: [], commands: [] };
    const answers: Answer[] = [];
    let over = false;
    const clients = startAppenders(world, CLIENTS, topicId, history, () => over);
    const readers = NODES.map((name) =>
      readFromEach(world.ports(`reader of ${name}`), name, topicId, history, answers, () => over),
    );
    const random = world.random.stream('disks');
    for (let i = 0; i < STEPS; i++) {
      await world.run(500 + random.below(1_500));
      const step = random.pick(STEP_NAMES);
      const name = random.pick(NODES);
      world.note(`step ${step} ${name}`);
      await STEP[step](world, name);
      await whole(world, `${step} of ${name}`);
    }
    over = true;
    await world.play(() => Promise.all([...clients, ...readers]), 120_000);
    await world.play(() => checkLog(world.ports('auditor'), topicId, history), 120_000);
    await world.play(() => checkAnswers(world.ports('auditor'), topicId, answers), 120_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

type Step = (world: World, name: string) => Promise<void>;

const STEP = {
  /** Everything that a node, or each of them, writes to its replicas fails for a while, or one single thing does. */
  eio: async (world, name) => {
    const random = world.random.stream('eio');
    const once = random.below(2) === 0;
    const kind = random.pick(['sync', 'write'] as const);
    for (const it of random.below(3) === 0 ? NODES : [name]) {
      let left = once ? 1 : Number.POSITIVE_INFINITY;
      world.disk(it).faults = {
        fail: ({ kind: done, path }) =>
          done === kind && path.startsWith(REPLICAS) && left-- > 0 ? 'EIO' : undefined,
      };
    }
    await world.run(1_000 + random.below(4_000));
    // A process that is started again finds what the failed write has left.
    if (random.below(3) === 0) await restart(world, name);
    for (const it of NODES) world.disk(it).faults = {};
  },
  /** There is no room on one disk, or on any of them. */
  full: async (world, name) => {
    const random = world.random.stream('full');
    const all = random.below(2) === 0;
    const faults: DiskFaults = {
      fail: ({ kind, path }) =>
        kind === 'write' && path.startsWith(REPLICAS) ? 'ENOSPC' : undefined,
    };
    for (const it of all ? NODES : [name]) world.disk(it).faults = faults;
    await world.run(500 + random.below(4_000));
    if (random.below(3) === 0) await restart(world, random.pick(NODES));
    for (const it of NODES) world.disk(it).faults = {};
  },
  /** A process, or each of them, may open no more files. */
  files: async (world, name) => {
    const random = world.random.stream('files');
    const all = random.below(2) === 0;
    const faults: DiskFaults = { fail: ({ kind }) => (kind === 'open' ? 'EMFILE' : undefined) };
    for (const it of all ? NODES : [name]) world.disk(it).faults = faults;
    await world.run(500 + random.below(8_000));
    for (const it of NODES) world.disk(it).faults = {};
  },
  /** Bytes of a record change, while the node is down or while it runs. */
  damaged: async (world, name) => {
    const random = world.random.stream('damage');
    const down = random.below(2) === 0;
    if (down) world.crash(name);
    const disk: SimulatedDisk = world.disk(name);
    const files = disk.files().filter((it) => /\/records\/.*\.segment$/.test(it.path));
    const { path } = random.pick(files);
    disk.damage(path, (bytes) => {
      // Behind the header, among the first records.
      const at = 4_096 + 40 + random.below(200);
      if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
    });
    await world.run(random.below(2_000));
    if (down) world.restart(name);
    else await restart(world, name);
  },
  /** The folder of a replica is gone. */
  lost: async (world, name) => {
    world.crash(name);
    const disk = world.disk(name);
    const [logStream] = await world.play(() => disk.list('storage/replicas'), 60_000);
    if (logStream !== undefined) {
      await world.play(() => disk.remove(`storage/replicas/${logStream}`), 60_000);
      await world.play(() => disk.syncDirectory('storage/replicas'), 60_000);
    }
    await world.run(world.random.stream('lost').below(2_000));
    world.restart(name);
  },
} satisfies Record<string, Step>;

const STEP_NAMES = Object.keys(STEP) as (keyof typeof STEP)[];

async function restart(world: World, name: string): Promise<void> {
  world.crash(name, { powerLoss: world.random.stream('crashes').below(2) === 0 });
  await world.run(world.random.stream('crashes').below(1_000));
  world.restart(name);
}

const node = (world: World, name: string): NodeRoles | undefined =>
  world.process(name) as NodeRoles | undefined;

/** Waits until every log stream is open with all of its replicas, and each of them is well. */
async function whole(world: World, step: string): Promise<void> {
  const isWhole = (): boolean =>
    NODES.some((name) => {
      const repository = node(world, name)?.repository;
      if (repository?.orderer === undefined) return false;
      return [...repository.metadata.logStreams.values()].every(
        (it) => !it.sealed && it.members.length === NODES.length,
      );
    }) &&
    NODES.every((name) => {
      const replicas = node(world, name)?.storageNode?.status.replicas ?? [];
      return replicas.length > 0 && replicas.every((it) => it.state === 'open' && !it.full);
    });
  await world.until(isWhole, WHOLE_WITHIN_MS).catch((error: unknown) => {
    throw new Error(`not whole again after ${step}: ${health(world)}`, { cause: error });
  });
}

function health(world: World): string {
  const leader = NODES.map((it) => node(world, it)?.repository).find((it) => it?.orderer);
  const { logStreams } = leader
    ? describeHealth(leader.metadata, leader.orderer!)
    : { logStreams: [] };
  const streams = logStreams.map(({ logStreamId, sealed, epoch, end, replicas }) => {
    const each = replicas.map((it) => `${it.storageNodeId} ${it.state} ${it.end}`);
    return `${logStreamId} ${sealed ? 'sealed' : 'open'} in ${epoch} at ${end}: ${each.join(', ')}`;
  });
  const reasons = NODES.map((it) => node(world, it)?.storageNode?.notReady().join());
  must(streams.length > 0, `there is no leader: ${reasons}`);
  return [...streams, ...reasons].join('; ');
}
