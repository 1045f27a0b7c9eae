import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import {
  startReplica,
  type Transaction,
  TransactionMachine,
  type TransactionReplica,
  type TransactionStore,
  transactions,
} from '../../framework/smr/index.ts';
import {
  checkListAppend,
  type ListOperation,
  type ListTransaction,
  MemoryLog,
  type Process,
  type RunReport,
  type SeededRandom,
  World,
} from '../../framework/testing/index.ts';
import { withFaults } from './faults.ts';
import { must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const CALL_MS = 2_000;
const LISTS = ['x', 'y', 'z'];
const ACCOUNTS = ['a', 'b', 'c', 'd'];
const START_BALANCE = 100;
const CLIENTS = 4;

interface Node extends Process {
  readonly replica: TransactionReplica;
  readonly store: TransactionStore;
}

async function startNode(ports: Ports, log: MemoryLog, snapshotEvery: number): Promise<Node> {
  const machine = new TransactionMachine();
  const replica = await startReplica({ machine, log, ports, snapshotEvery });
  return { replica, store: transactions(replica, { ports }), close: () => replica.close() };
}

/** A transaction of which no answer came, to be settled when all is well again. */
interface Lost {
  readonly id: string;
  readonly since: number;
  readonly index: number;
}

interface Run {
  readonly world: World;
  readonly log: MemoryLog;
  readonly history: ListTransaction[];
  readonly lost: Lost[];
  /** What was told of a transaction to those who asked early. */
  readonly asked: Map<string, string>;
  over: boolean;
}

/**
 * Transactions that append to lists and read them, and transfers between accounts, by clients of three replicas, through
 * crashes, pauses and lost acknowledgements. What clients were told, lost answers settled by `outcome`, is strictly
 * serializable, and the accounts have the same sum in every snapshot.
 */
export async function transactionsScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    const climate = world.random.stream('climate');
    const snapshotEvery = [2, 3, 10][climate.below(3)]!;
    const run: Run = {
      world,
      log: new MemoryLog(),
      history: [],
      lost: [],
      asked: new Map<string, string>(),
      over: false,
    };
    for (const name of NODES) world.node(name, (ports) => startNode(ports, run.log, snapshotEvery));
    await world.started();
    const { store } = world.process(NODES[0]!) as Node;
    await world.play(
      () =>
        store.transact(async (transaction) => {
          for (const it of ACCOUNTS) transaction.put(it, String(START_BALANCE));
        }),
      10_000,
    );
    const clients = Array.from({ length: CLIENTS }, (_, i) => runClient(run, i));
    await withFaults(world, NODES);
    run.over = true;
    await world.play(() => Promise.all(clients), 60_000);
    // Who was about to be killed was.
    await world.run(2_000);
    for (const name of NODES) world.restart(name);
    await world.started();
    await world.play(() => check(run), 60_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

async function runClient(run: Run, client: number): Promise<void> {
  const { world, log } = run;
  const { clock, random: ids } = world.ports(`client ${client}`);
  const random = world.random.stream(`choices ${client}`);
  for (let turn = 1; !run.over; turn++) {
    await sleep(clock, 5 + random.below(150));
    const name = NODES[random.below(NODES.length)]!;
    if (!world.isRunning(name)) continue;
    const node = world.process(name) as Node | undefined;
    if (node === undefined) continue;
    if (random.chance(0.2)) log.failNext(random.pick(['unknownApplied', 'unknownLate', 'refused']));
    const doing =
      turn % 2 === 0
        ? appendToLists(run, node.store, ids.id(), random)
        : transfer(world, node.store, random);
    // A process that crashed answers nothing any more.
    await Promise.race([doing, sleep(clock, 2 * CALL_MS)]);
  }
}

/** Reads lists and appends to some, and gets its answer, or notes that none came. */
async function appendToLists(
  run: Run,
  store: TransactionStore,
  id: string,
  random: SeededRandom,
): Promise<void> {
  const { world, history, lost } = run;
  const keys = LISTS.filter(() => random.chance(0.7));
  const appends = new Set(keys.filter(() => random.chance(0.5)));
  const operations: ListOperation[] = [];
  const callMs = world.nowMs;
  const index = history.push({ operations, callMs, returnMs: Infinity, outcome: 'unknown' }) - 1;
  const settled = (outcome: ListTransaction['outcome']): void => {
    history[index] = { operations, callMs, returnMs: world.nowMs, outcome };
  };
  try {
    const transaction = await store.begin({ id, timeoutMs: CALL_MS });
    for (const key of keys) {
      const values = JSON.parse((await transaction.get(key)) ?? '[]') as string[];
      operations.push({ kind: 'read', key, values });
      if (!appends.has(key)) continue;
      operations.push({ kind: 'append', key, value: id });
      transaction.put(key, JSON.stringify([...values, id]));
      // Another gets in between.
      if (random.chance(0.3)) await sleep(world.ports('between').clock, random.below(100));
    }
    if (appends.size > 0) lost.push({ id, since: transaction.since, index });
    if (random.chance(0.2)) void askEarly(run, transaction, random);
    if (random.chance(0.2)) await sleep(world.ports('late').clock, random.below(200));
    await transaction.commit();
    settled('committed');
    // Sent twice, it is told the same.
    if (appends.size > 0 && random.chance(0.2)) await transaction.commit();
  } catch (error) {
    must(VarlogError.is(error), `a transaction failed with ${error}`);
    if ((error as VarlogError).outcome === 'notAppended') settled('aborted');
  }
}

async function transfer(
  world: World,
  store: TransactionStore,
  random: SeededRandom,
): Promise<void> {
  const [from, to] = [random.pick(ACCOUNTS), random.pick(ACCOUNTS)];
  const { clock } = world.ports('backoff');
  const options = {
    timeoutMs: CALL_MS,
    attemptsMax: 5,
    backoff: () => sleep(clock, random.below(50)),
  };
  try {
    await store.transact(async (transaction) => {
      const balances = new Map<string, number>();
      for (const it of ACCOUNTS) {
        balances.set(it, Number(await transaction.get(it)));
        // Others get in between.
        if (random.chance(0.1)) await sleep(clock, random.below(300));
      }
      checkSum([...balances.values()]);
      if (from === to) return;
      const amount = 1 + random.below(5);
      if (balances.get(from)! < amount) return;
      transaction.put(from, String(balances.get(from)! - amount));
      transaction.put(to, String(balances.get(to)! + amount));
    }, options);
  } catch (error) {
    if (!VarlogError.is(error)) throw error;
  }
}

/** Somebody who cannot wait asks what became of a transaction that may not have come yet. */
async function askEarly({ world, asked }: Run, { id, since }: Transaction, random: SeededRandom) {
  const node = world.process(random.pick(NODES)) as Node | undefined;
  const { clock } = world.ports('early');
  await sleep(clock, random.below(100));
  try {
    const { state } = (await node?.store.outcome(id, { since, timeoutMs: CALL_MS })) ?? {};
    if (state !== undefined) asked.set(id, state);
  } catch (error) {
    must(VarlogError.is(error), String(error));
  }
}

function checkSum(balances: readonly number[]): void {
  const sum = balances.reduce((a, b) => a + b, 0);
  must(sum === ACCOUNTS.length * START_BALANCE, `the accounts have ${sum}: [${balances}]`);
}

async function check({ world, history, lost, asked }: Run): Promise<void> {
  const nodes = NODES.map((name) => world.process(name) as Node);
  for (const { id, since, index } of lost) {
    const told = history[index]!;
    const states = new Set<string>();
    for (const { store } of nodes) states.add((await store.outcome(id, { since })).state);
    must(states.size === 1, `${id} is ${[...states].join(' and ')}`);
    const early = asked.get(id);
    must(early === undefined || states.has(early), `${id} was ${early}, is ${[...states]}`);
    const committed = states.has('committed');
    if (told.outcome === 'unknown')
      history[index] = { ...told, outcome: committed ? 'committed' : 'aborted' };
    else must((told.outcome === 'committed') === committed, `${id} was told ${told.outcome}`);
  }
  for (const { store } of nodes) {
    const callMs = world.nowMs;
    const operations: ListOperation[] = [];
    await store.transact(async (transaction) => {
      for (const key of LISTS) {
        const values = JSON.parse((await transaction.get(key)) ?? '[]') as string[];
        operations.push({ kind: 'read', key, values });
      }
      const balances = ACCOUNTS.map(async (it) => Number(await transaction.get(it)));
      checkSum(await Promise.all(balances));
    });
    history.push({ operations, callMs, returnMs: world.nowMs, outcome: 'committed' });
  }
  const problems = checkListAppend(history);
  must(problems.length === 0, problems.slice(0, 3).join('; '));
}
