import { sleep, VarlogError } from '../base/index.ts';
import { MemoryLog, type RunReport, runSeeds, World } from '../testing/index.ts';
import { CommandQueue } from './command-queue.ts';
import { type StateMachine, startReplica } from './index.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 20);
const CALLERS = ['a', 'b'];
const CALLS = 60;
const FAULTS = ['refused', 'unknownApplied', 'unknownLate', 'unknownLost'] as const;

/** The n-th call of somebody. */
interface Call {
  readonly by: string;
  readonly n: number;
}

/** Keeps what was applied, in that order. */
class Order implements StateMachine<Call, number, Call[]> {
  calls: Call[] = [];
  apply(call: Call): number {
    return this.calls.push(call);
  }
  snapshot(): Call[] {
    return [...this.calls];
  }
  restore(calls: Call[]): void {
    this.calls = [...calls];
  }
}

/** What callers were told. */
interface Told {
  readonly answered: readonly Call[];
  readonly refused: readonly Call[];
}

/** What is wrong with a history; `undefined` where nothing is. */
function problemOf(applied: readonly Call[], { answered, refused }: Told): string | undefined {
  const last = new Map<string, number>();
  for (const { by, n } of applied) {
    const before = last.get(by) ?? 0;
    if (n === before) return `call ${n} of ${by} took effect twice`;
    if (n < before) return `call ${n} of ${by} took effect after its call ${before}`;
    last.set(by, n);
  }
  const names = new Set(applied.map(nameOf));
  const lost = answered.find((it) => !names.has(nameOf(it)));
  if (lost !== undefined) return `call ${nameOf(lost)} was answered, and is lost`;
  const risen = refused.find((it) => names.has(nameOf(it)));
  return risen && `call ${nameOf(risen)} had certainly failed, and took effect`;
}

function nameOf({ by, n }: Call): string {
  return `${by}${n}`;
}

/** Two replicas whose appends suffer everything, whose links are cut, whose sessions are closed, and whose callers give up. */
async function scenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  const random = world.random.stream('scenario');
  const ports = world.ports('callers');
  const { clock } = ports;
  const log = new MemoryLog({ clock });
  const sessions = { sessionsMax: 1 + random.below(3), idleMs: 3_600_000 };
  const snapshotEvery = 5 + random.below(60);
  const answered: Call[] = [];
  const refused: Call[] = [];
  const play = async (by: string): Promise<void> => {
    const link = log.link({ clock });
    link.latencyMs = random.below(5);
    const options = { log: link, ports, sessions, snapshotEvery };
    await using replica = await startReplica({ machine: new Order(), ...options });
    const calls: Promise<void>[] = [];
    for (let n = 1; n <= CALLS; n++) {
      const command = { by, n };
      const id = random.below(3) === 0 ? { requestId: nameOf(command) } : {};
      const limit = random.below(4) === 0 ? { timeoutMs: 1 + random.below(30) } : {};
      const call = replica.execute(command, { timeoutMs: 60_000, ...id, ...limit });
      const failed = (error: unknown): void => {
        if (VarlogError.is(error) && error.outcome === 'notAppended') refused.push(command);
      };
      calls.push(call.then(() => void answered.push(command), failed));
      if (random.below(4) === 0) link.failNext(FAULTS[random.below(FAULTS.length)]!);
      if (random.below(15) === 0) link.cut();
      if (random.below(2) === 0) await sleep(clock, random.below(15));
      link.mend();
    }
    await Promise.all(calls);
  };
  const applied = await world.play(async () => {
    await Promise.all(CALLERS.map(play));
    await using reader = await startReplica({ machine: new Order(), log, ports, sessions });
    return await reader.query((it) => it.calls);
  });
  const problem = problemOf(applied, { answered, refused });
  if (problem !== undefined) throw new Error(problem);
  expect(answered.length).toBeGreaterThan(0);
  world.close();
  return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
}

test('what one caller executes takes effect in the order of its calls, or certainly not at all', async () => {
  const failures = await runSeeds({ scenario, seeds: SEEDS, checkShare: 0.05, print: () => {} });
  expect(failures).toEqual([]);
}, 60_000);

/** As much of a queue as the defects change. */
interface Opened {
  sending: boolean;
  waiting: unknown[];
  pump(): void;
  isUnderWay(pending: { readonly sequence: number }): boolean;
  readonly pending: { get(sequence: number): unknown };
  sendAnew(isClosed: (session: number) => boolean, safe: number, forgotten: number): void;
}

const queue = CommandQueue.prototype as unknown as Opened;
const { pump, isUnderWay, sendAnew } = queue;

const DEFECTS: Record<string, Partial<Opened>> = {
  'an append leaves before the one before it is in the log': {
    pump(this: Opened) {
      this.sending = false;
      pump.call(this);
    },
  },
  'what a caller gave up is not sent again with the others': {
    isUnderWay(this: Opened, it) {
      return isUnderWay.call(this, it) && this.pending.get(it.sequence) === it;
    },
  },
  'what goes again in a new session waits behind the others': {
    sendAnew(this: Opened, isClosed, safe, forgotten) {
      const before = this.waiting.length;
      sendAnew.call(this, isClosed, safe, forgotten);
      const again = this.waiting.splice(0, this.waiting.length - before);
      this.waiting.push(...again);
    },
  },
};

test.each(Object.keys(DEFECTS))(
  'it is found where %s',
  async (name) => {
    Object.assign(queue, DEFECTS[name]);
    try {
      for (let firstSeed = 1; firstSeed <= 200; firstSeed++) {
        const options = { seeds: 1, firstSeed, checkShare: 0, print: () => {} };
        const failures = await runSeeds({ scenario, ...options });
        if (failures.length > 0) return;
      }
    } finally {
      Object.assign(queue, { pump, isUnderWay, sendAnew });
    }
    throw new Error('no seed finds it');
  },
  60_000,
);
