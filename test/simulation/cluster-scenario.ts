import type { Ports } from '../../framework/base/index.ts';
import { sleep, VarlogError } from '../../framework/base/index.ts';
import { Varlog } from '../../framework/log/client/index.ts';
import { type NodeRoles, type RolesOptions, startRoles } from '../../framework/log/roles/index.ts';
import { startReplica } from '../../framework/smr/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { checkAnswers, readAllOfEach } from './each-replica.ts';
import { withFaults } from './faults.ts';
import { type CommandRecord, checkCommands, Memory, must } from './memory.ts';
import { operate } from './operator.ts';
import { drawWriteAhead } from './write-ahead.ts';

export const NODES = ['n1', 'n2', 'n3'];
const CLIENTS = 3;
const PORT = 9092;

const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));
export const endpoints = members.map((it) => it.address);

/** A whole node: metadata repository member, admin and storage node on one address. */
export function startNode(
  ports: Ports,
  name: string,
  storage: Partial<RolesOptions['storage']> = {},
  metadata: Partial<RolesOptions['metadata']> = {},
): Promise<NodeRoles> {
  return startRoles({
    ports,
    clusterId: 1,
    nodeId: NODES.indexOf(name) + 1,
    address: `${name}:${PORT}`,
    members,
    metadata: { directory: 'metadata', replicationFactor: NODES.length, ...metadata },
    storage: { directory: 'storage', writeAhead: drawWriteAhead(ports.random), ...storage },
  });
}

export interface Attempt {
  readonly text: string;
  outcome: 'acknowledged' | 'notAppended' | 'unknown';
  glsn?: number;
  begunMs: number;
  doneMs: number;
}

/** What clients were told, while the cluster went through faults. */
export interface History {
  attempts: Attempt[];
  commands: CommandRecord[];
}

/**
 * The whole cluster through a few seconds of faults from a seed: crashes and power losses of nodes,
 * all of them at times, partitions, pauses. Three clients append, one runs commands on a replicated
 * state machine, and at times an operator moves replicas about. When all is well again, everything that was acknowledged must be there, once, in one
 * order that respects real time, and every replica of the machine must have the same state.
 */
export async function clusterScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    // Fewer than there are log streams in some runs, so that replicas wait for others to be taken in.
    const joinsAtOnce = 1 + (seed % 4);
    for (const name of NODES)
      world.node(name, (ports) => startNode(ports, name, {}, { joinsAtOnce }));
    const topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    const history: History = { attempts: [], commands: [] };
    let over = false;
    const clients = startAppenders(world, CLIENTS, topicId, history, () => over);
    const machine = runCommands(world.ports('machine'), topicId + 1, history, () => over);
    const operated = { endpoints, topicId, over: () => over };
    // Not in every run: log streams that are sealed on purpose are in the way of other things.
    const operator = seed % 3 === 0 ? operate(world.ports('operator'), operated) : undefined;
    await withFaults(world, NODES);
    over = true;
    await world.play(() => Promise.all([...clients, machine, operator]), 120_000);
    await world.play(() => checkLog(world.ports('auditor'), topicId, history), 120_000);
    await world.play(() => checkReplicas(world.ports('auditor'), topicId, history), 240_000);
    await world.play(() => checkMachine(world.ports('auditor'), topicId + 1, history), 120_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

export async function makeTopic(ports: Ports): Promise<number> {
  const varlog = await connect(ports);
  await varlog.ready({ storageNodes: NODES.length, timeoutMs: 30_000 });
  const { id } = await varlog.createTopic({ logStreams: 2 });
  await varlog.createTopic({ logStreams: 1 });
  await varlog.close();
  return id;
}

export function connect(ports: Ports, at: readonly string[] = endpoints): Promise<Varlog> {
  return Varlog.connect({ endpoints: at, timeoutMs: 60_000, ports });
}

/** What the clients of a scenario append, where that is more than a few words anywhere. */
export type Shape = (text: string, i: number) => { text: string; logStream?: number };

/** Clients that append until it is over, and note what they were told. */
export function startAppenders(
  world: World,
  count: number,
  topicId: number,
  history: History,
  over: () => boolean,
  shape: Shape = (text) => ({ text }),
): Promise<void>[] {
  return Array.from({ length: count }, (_, i) =>
    appendUntil(world.ports(`client-${i}`), topicId, `client ${i}`, history, over, shape),
  );
}

async function appendUntil(
  ports: Ports,
  topicId: number,
  name: string,
  { attempts }: History,
  over: () => boolean,
  shape: Shape,
): Promise<void> {
  const varlog = await connect(ports);
  for (let i = 0; !over(); i++) {
    const { text, ...place } = shape(`${name} append ${i}`, i);
    const attempt: Attempt = { text, outcome: 'unknown', begunMs: ports.clock.now(), doneMs: 0 };
    attempts.push(attempt);
    try {
      const batch = i % 5 === 0 ? [text, `${text} bis`] : text;
      const { glsn } = await varlog.topic(topicId).append(batch, { ...place, timeoutMs: 5_000 });
      attempt.outcome = 'acknowledged';
      attempt.glsn = glsn;
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      attempt.outcome = error.outcome ?? 'unknown';
    }
    attempt.doneMs = ports.clock.now();
    await sleep(ports.clock, 20 + ports.random.below(60));
  }
  await varlog.close();
}

async function runCommands(
  ports: Ports,
  topicId: number,
  { commands }: History,
  over: () => boolean,
): Promise<void> {
  const varlog = await connect(ports);
  const log = varlog.topic(topicId);
  const replica = await startReplica({ machine: new Memory(), log, ports });
  for (let i = 0; !over(); i++) {
    const it: CommandRecord = { command: `command ${i}`, outcome: 'unknown' };
    commands.push(it);
    try {
      await replica.execute(it.command, { timeoutMs: 5_000 });
      it.outcome = 'done';
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      it.outcome = error.outcome === 'notAppended' ? 'notAppended' : 'unknown';
    }
    await sleep(ports.clock, 50 + ports.random.below(100));
  }
  await replica.close();
  await varlog.close();
}

export async function checkLog(
  ports: Ports,
  topicId: number,
  { attempts }: History,
  at: readonly string[] = endpoints,
): Promise<void> {
  const varlog = await connect(ports, at);
  const topic = varlog.topic(topicId);
  await topic.append('the end', { timeoutMs: 60_000 });
  const texts: string[] = [];
  const streams = new Map<number, number>();
  for await (const entry of topic.read()) {
    texts.push(entry.text());
    must(entry.glsn === texts.length, `GLSN ${entry.glsn} comes after ${texts.length - 1}`);
    const llsn = (streams.get(entry.logStream) ?? 0) + 1;
    must(entry.llsn === llsn, `LLSN ${entry.llsn} of ${entry.logStream} comes after ${llsn - 1}`);
    streams.set(entry.logStream, llsn);
  }
  const places = new Map(texts.map((text, i) => [text, i + 1]));
  must(places.size === texts.length, 'a record is there twice');
  for (const { text, outcome, glsn } of attempts) {
    const place = places.get(text);
    if (outcome === 'acknowledged') must(place === glsn, `"${text}" is at ${place}, not ${glsn}`);
    if (outcome === 'notAppended') must(place === undefined, `"${text}" was refused, and is there`);
    const bis = places.get(`${text} bis`);
    must(bis === undefined || bis === place! + 1, `the batch of "${text}" was torn`);
  }
  checkRealTime(attempts);
  await varlog.close();
}

/** An append that began after another one was acknowledged has a larger GLSN. Clocks drift a little. */
function checkRealTime(attempts: readonly Attempt[]): void {
  const done = attempts.filter((it) => it.glsn !== undefined);
  for (const earlier of done) {
    for (const later of done) {
      if (later.begunMs <= earlier.doneMs + 50) continue;
      must(later.glsn! > earlier.glsn!, `"${later.text}" came before "${earlier.text}"`);
    }
  }
}

/** The reader of the log takes what one replica has. What each of the others has is the same. */
async function checkReplicas(ports: Ports, topicId: number, history: History): Promise<void> {
  const answers = await readAllOfEach(ports, NODES, topicId, history);
  if (answers.length > 0) await checkAnswers(ports, topicId, answers);
}

async function checkMachine(ports: Ports, topicId: number, { commands }: History): Promise<void> {
  const varlog = await connect(ports);
  const log = varlog.topic(topicId);
  const states: string[] = [];
  for (let i = 0; i < 2; i++) {
    const replica = await startReplica({ machine: new Memory(), log, ports });
    const seen = await replica.query((it) => [...it.seen], { timeoutMs: 60_000 });
    checkCommands(seen, commands);
    states.push(JSON.stringify(seen));
    await replica.close();
  }
  must(states[0] === states[1], 'two replicas differ');
  await varlog.close();
}
