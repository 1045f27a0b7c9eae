import { type Ports, sleep } from '../../framework/base/index.ts';
import { type AppendReceipt, type Topic, Varlog } from '../../framework/log/client/index.ts';
import { startRoles } from '../../framework/log/roles/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { must } from './memory.ts';

const PORT = 9092;
const members = [{ id: 1, address: `m:${PORT}` }];
const STORAGE_NODES = ['s1', 's2', 's3'];
/** What is not a wire nor a disk takes no virtual time, but for clocks that drift. */
const SLACK_MS = 0.5;

/** How slow things are in one run, in milliseconds: a wire one way, and an operation of a disk. */
interface Delays {
  readonly wire: number;
  readonly primary: number;
  readonly backup: number;
  readonly metadata: number;
}

/**
 * A cluster on machines of their own, whose wires and disks each take a time that is drawn from the seed. What receipts
 * say of the stations has to be just that, whatever the clocks of the machines show, and the parts have to be the
 * whole; also where many appends are under way.
 */
export async function receiptScenario(seed: number): Promise<RunReport> {
  const world = new World(seed, { driftPpmMax: 100, links: { latencyMeanMs: 0 } });
  try {
    startCluster(world);
    const random = world.random.stream('delays');
    const upTo = (most: number): number => 1 + random.below(most);
    const delays: Delays = {
      wire: upTo(20),
      primary: upTo(40),
      backup: upTo(40),
      metadata: upTo(40),
    };
    await world.play(() => appendAndCheck(world, world.ports('c'), delays), 120_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

function startCluster(world: World): void {
  const common = { clusterId: 1, members };
  const metadata = { directory: 'metadata', replicationFactor: STORAGE_NODES.length };
  const address = members[0]!.address;
  world.node('m', (ports) => startRoles({ ...common, ports, nodeId: 1, address, metadata }));
  for (const [i, name] of STORAGE_NODES.entries()) {
    const at = { nodeId: i + 1, address: `${name}:${PORT}` };
    const storage = { directory: 'storage' };
    world.node(name, (ports) => startRoles({ ...common, ...at, ports, storage }));
  }
}

async function appendAndCheck(world: World, ports: Ports, delays: Delays): Promise<void> {
  const endpoints = members.map((it) => it.address);
  const varlog = await Varlog.connect({ endpoints, ports, timeoutMs: 30_000 });
  await varlog.ready({ storageNodes: STORAGE_NODES.length, timeoutMs: 30_000 });
  const topic = await varlog.createTopic({ acknowledge: 'all' });
  await topic.append('first', { timeoutMs: 30_000 });
  const { logStreams } = await topic.describe();
  const primary = logStreams[0]!.replicas[0]!;
  world.network.links.quality.latencyMinMs = delays.wire;
  const slow = (name: string, ms: number): void => {
    world.disk(name).faults = { latencyMs: () => ms };
  };
  slow('m', delays.metadata);
  for (const [i, name] of STORAGE_NODES.entries()) {
    slow(name, i + 1 === primary ? delays.primary : delays.backup);
  }
  // By these the node measures the way to the metadata repository as it is now.
  for (let i = 0; i < 3; i++) await topic.append('second', { timeoutMs: 30_000 });
  const one = await measured(ports, topic);
  checkStations(one, delays);
  const many = Array.from({ length: 20 }, async (_, i) => {
    await sleep(ports.clock, i);
    return measured(ports, topic);
  });
  const queued = (await Promise.all(many)).filter((it) => it.primaryQueue + it.cut > SLACK_MS);
  must(queued.length > 0, 'none of many at once has waited for another one');
  await varlog.close();
}

/** Appends, and checks that the parts are the whole. */
async function measured(ports: Ports, topic: Topic): Promise<AppendReceipt> {
  const begun = ports.clock.now();
  const { receipt } = await topic.append('measured', { receipt: true, timeoutMs: 30_000 });
  const took = ports.clock.now() - begun;
  const { total, ...parts } = receipt!;
  const sum = Object.values(parts).reduce((so, ms) => so + ms, 0);
  must(Math.abs(sum - total) < 1e-6, `the parts are ${sum} of ${total} ms`);
  must(Math.abs(took - total) < 1e-6, `a receipt of ${total} ms for ${took} ms`);
  for (const [part, ms] of Object.entries(parts)) must(ms >= 0, `${part} took ${ms} ms`);
  must(parts.other < SLACK_MS, `${parts.other} ms are not named`);
  return receipt!;
}

/** One append alone is at each station for as long as that takes. */
function checkStations(receipt: AppendReceipt, { wire, primary, backup, metadata }: Delays): void {
  const isNear = (part: keyof AppendReceipt, least: number, most = least): void => {
    const ms = receipt[part];
    const fits = ms >= least - SLACK_MS && ms <= most + SLACK_MS;
    must(fits, `${part} took ${ms} ms, not ${least} to ${most}`);
  };
  isNear('clientQueue', 0);
  isNear('wire', 2 * wire);
  isNear('primaryQueue', 0);
  // A write that is durable is one operation of the disk or two.
  isNear('disk', primary, 2 * primary);
  isNear('repositoryWire', 2 * wire);
  isNear('cut', 0);
  isNear('raft', metadata, 2 * metadata);
  isNear('answer', 0);
  const writes = receipt.disk > 1.5 * primary ? 2 : 1;
  // Backups are sent a batch while the primary writes it.
  isNear('replicas', Math.max(0, wire + writes * backup - receipt.disk));
}
