import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { startReplica } from '../../framework/smr/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { checkAnswers, readAllOfEach } from './each-replica.ts';
import { withFaults } from './faults.ts';
import { type CommandRecord, checkCommands, Memory, must } from './memory.ts';
import { operate } from './operator.ts';
import { connect, endpoints, makeTopic, NODES, startNode } from './three-nodes.ts';

const CLIENTS = 3;
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
