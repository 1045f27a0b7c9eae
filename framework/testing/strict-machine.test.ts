import { type ApplyContext, type StateMachine, startReplica } from '../smr/index.ts';
import { MemoryLog, strictMachine } from './index.ts';

type Command = { readonly items: number[]; readonly bytes?: Uint8Array };
type Doing = (machine: Doer, command: Command, context: ApplyContext) => unknown;

/** Does what it is told to, and keeps what comes of it. */
class Doer implements StateMachine<Command, unknown, unknown> {
  value: unknown = 0;
  readonly instance: number;
  private readonly doing: Doing;
  constructor(doing: Doing, instance: number) {
    this.doing = doing;
    this.instance = instance;
  }
  apply(command: Command, context: ApplyContext): unknown {
    return this.doing(this, command, context);
  }
  snapshot(): unknown {
    return this.value;
  }
  restore(value: unknown): void {
    this.value = value;
  }
}

function strict(doing: Doing): Doer {
  let instance = 0;
  return strictMachine(() => new Doer(doing, instance++));
}

async function tried(doing: Doing): Promise<unknown> {
  await using replica = await startReplica({ machine: strict(doing), log: new MemoryLog() });
  const command: Command = { items: [1], bytes: new Uint8Array([1]) };
  const codec = { encode: () => new Uint8Array(1), decode: () => command };
  await using taking = await startReplica({
    machine: strict(doing),
    log: new MemoryLog(),
    codec: { command: codec },
  });
  await replica.execute({ items: [1] }).catch((error) => expect(error.code).toBe('APPLY_FAILED'));
  const error = await taking.execute(command).catch((it: unknown) => it);
  return (error as { cause?: { cause?: unknown } }).cause?.cause;
}

const CALLS: [string, Doing][] = [
  ['Date.now()', () => Date.now()],
  ['new Date()', () => new Date()],
  ['Date()', () => Date()],
  ['performance.now()', () => performance.now()],
  ['Math.random()', () => Math.random()],
  ['crypto.randomUUID()', () => crypto.randomUUID()],
  ['crypto.getRandomValues()', () => crypto.getRandomValues(new Uint8Array(1))],
  ['process.hrtime()', () => process.hrtime()],
  ['setTimeout()', () => void setTimeout(() => {}, 1)],
  ['queueMicrotask()', () => queueMicrotask(() => {})],
];

describe('a strict machine', () => {
  test.each(CALLS)('refuses %s by its name, and allows it afterwards', async (call, doing) => {
    expect(String(await tried(doing))).toContain(`FAILED_PRECONDITION: ${call} was called`);
    expect(Date.now()).toBeGreaterThan(Math.random());
  });

  const DEFECTS: [string, Doing, RegExp][] = [
    [
      'another result',
      ({ instance }) => ({ a: [instance] }),
      /different results.*\$\.a\[0\] is 0, and 1/,
    ],
    [
      'another state',
      (machine) => {
        machine.value = { of: machine.instance };
      },
      /different states after the command at position 2: \$\.of is 0, and 1/,
    ],
    [
      'another number of random numbers',
      ({ instance }, _, context) => {
        for (let i = 0; i < instance; i++) context.random();
      },
      /called nothing and context\.random/,
    ],
    [
      'random numbers in one of them only',
      ({ instance }, _, context) => {
        if (instance === 0) context.random();
      },
      /called context\.random and nothing/,
    ],
    ['a command that is changed', (_, { items }) => items.push(2), /TypeError.*not extensible/],
    [
      'bytes that are changed',
      (_, { bytes }) => {
        if (bytes !== undefined) bytes[0]!++;
      },
      /changed the command at position 2/,
    ],
  ];
  test.each(DEFECTS)('finds %s', async (_, doing, message) => {
    expect(String(await tried(doing))).toMatch(message);
  });

  test('a machine that is deterministic does not notice, also from a snapshot', async () => {
    const log = new MemoryLog();
    const doing: Doing = (machine, { items }, context) => {
      const kept = machine.value as { sum?: number };
      const sum = (kept.sum ?? 0) + items.length + Math.floor(context.random() * 10);
      if (kept.sum === undefined) machine.value = { sum };
      else kept.sum = sum;
      return { sum, at: new Date(context.time).toISOString() };
    };
    await using one = await startReplica({ machine: strict(doing), log, snapshotEvery: 2 });
    for (let i = 0; i < 10; i++) await one.execute({ items: [i] });
    await using two = await startReplica({ machine: strict(doing), log });
    await two.execute({ items: [0] });
    const values = [one, two].map((it) => it.query(({ value }) => JSON.stringify(value)));
    expect(new Set(await Promise.all(values)).size).toBe(1);
  });
});

describe('forks of a strict machine', () => {
  class Sums implements StateMachine<number, number, number[]> {
    sums: number[] = [];
    shares = false;
    apply(add: number): number {
      return this.sums.push(add);
    }
    snapshot(): number[] {
      return this.sums;
    }
    restore(sums: number[]): void {
      this.sums = sums;
    }
    fork(): Sums {
      const fork: Sums = Object.assign(new Sums(), this);
      if (!this.shares) fork.sums = [...this.sums];
      return fork;
    }
  }

  test('are machines of their own, also where its properties are copied', async () => {
    const machine = strictMachine(() => new Sums());
    await using replica = await startReplica({ machine, log: new MemoryLog() });
    const tries = await Promise.all([1, 2, 3].map((it) => replica.speculate(it)));
    expect(tries.map((it) => it.tentative)).toEqual([1, 2, 3]);
    expect(machine.sums).toEqual([]);
    for (const { settled } of tries) expect((await settled).kind).toBe('confirmed');
    expect(machine.sums).toEqual([1, 2, 3]);
  });

  test('that share its state are found', async () => {
    const machine = strictMachine(() => Object.assign(new Sums(), { shares: true }));
    await using replica = await startReplica({ machine, log: new MemoryLog() });
    const { settled } = await replica.speculate(1);
    await expect(settled).rejects.toMatchObject({ code: 'APPLY_FAILED' });
  });
});
