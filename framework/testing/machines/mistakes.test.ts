import { bytesCodec, type StateMachine } from '../../smr/index.ts';
import { strictMachine } from '../strict-machine.ts';
import { given } from './given.ts';
import { checkReplay, checkSnapshots } from './replay.ts';
import { type SimulateOptions, simulate } from './simulate.ts';

/** Mistakes of who writes a test, as plain JavaScript, or a cast, lets them through: each is told, with what to do. */

class Counter implements StateMachine<{ add: number }, unknown, unknown> {
  value = 0;
  apply({ add }: { add: number }): unknown {
    this.value += add;
    return this.value;
  }
  snapshot(): unknown {
    return this.value;
  }
  restore(value: unknown): void {
    this.value = value as number;
  }
}

type Options = SimulateOptions<{ add: number }, unknown, unknown, Counter>;
const workload = () => ({ add: 1 });
const run = (machine: unknown, options: object = {}): Promise<unknown> =>
  simulate(machine as typeof Counter, { workload, seeds: 2, ...options } as Options);

async function told(made: Promise<unknown>, says: RegExp, code = 'INVALID_ARGUMENT') {
  await expect(made).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
}

test.each<[string, object, RegExp]>([
  ['a name that is not known', { seed: 5 }, /no option "seed" of simulate; choose among .*seeds, /],
  ['no workload', { workload: undefined }, /workload is missing; give workload, a function/],
  ['a command in its place', { workload: { add: 1 } }, /workload is an object/],
  ['a workload that returns nothing', { workload: () => {} }, /`workload` returned nothing/],
  ['one by promise', { workload: async () => 1 }, /`workload` returned a promise/],
  ['one fault, not in a list', { faults: 'crash' }, /faults is the text "crash"; give a list, of/],
  ['faults by name', { faults: { crash: true } }, /faults is an object.* give a list, of crash/],
  ['a fault that is none', { faults: ['crush'] }, /there is no fault "crush"; .*crash/],
  ['a number as text', { seeds: '5' }, /seeds is the text "5".*whole number from 1/],
  ['a first seed that is none', { firstSeed: Number.NaN }, /firstSeed is NaN/],
  ['an invariant that is none', { invariant: true }, /invariant is true; .*function/],
  ['one codec for all', { codec: bytesCodec }, /no option "encode" of codec; .*command, result/],
])('options: %s', async (_, options, says) => {
  await told(run(Counter, options), says);
});

test('options are given', async () => {
  await told(simulate(Counter, undefined as never), /options of simulate are missing/);
});

test('an invariant that answers later says nothing', async () => {
  const made = run(Counter, { invariant: async () => true });
  await told(made, /invariant does not hold .*promise/, 'MACHINE_DEFECT');
});

const shared = new Counter();

test.each<[string, unknown, RegExp]>([
  ['nothing', undefined, /what makes the machine is missing/],
  ['an instance', new Counter(), /an instance of Counter .*give the class, Counter, or a function/],
  ['a function that returns one and the same', () => shared, /returns the same one each time/],
  ['a function that returns the class', () => Counter, /returned the function or class Counter/],
  ['a function that returns nothing', () => {}, /returned nothing/],
  ['an async function', async () => new Counter(), /returned a promise/],
  [
    'a class that takes arguments',
    class Seats extends Counter {
      constructor(hall: { rows: number }) {
        super();
        this.value = hall.rows;
      }
    },
    /Seats throws where it is called without arguments: .*rows.*\(\) => new MyMachine/,
  ],
  [
    'a class without a method',
    class Half extends Counter {
      override restore = undefined as never;
    },
    /machine Half has no method `restore`/,
  ],
])('machines: %s', async (_, source, says) => {
  await told(run(source), says);
  expect(() => checkReplay(source as typeof Counter, [])).toThrow(says);
  await expect(checkSnapshots(source as typeof Counter, [])).rejects.toThrow(says);
});

test('a scenario is of one machine and a list of commands', async () => {
  const machine = new Counter();
  const one = { add: 1 } as never;
  expect(() => given(Counter as never)).toThrow(/class Counter; give an instance: new Counter\(\)/);
  expect(() => given(machine, one)).toThrow(/commands are an object .*\[\{ add: 1 \}\]/);
  expect(() => checkReplay(Counter, one)).toThrow(/commands are an object/);
  expect(() => given(machine, [], { at: 5 } as object)).toThrow(/no option "at" of given/);
  await expect(checkSnapshots(Counter, [], { codecs: 1 } as object)).rejects.toThrow(
    /of checkSnapshots/,
  );
  for (const time of [new Date(), '2020-01-01', Number.NaN] as number[])
    expect(() => given(machine).at(time)).toThrow(/the time is .*milliseconds since 1970/);
  expect(() => given(machine, [], { time: Number.NaN })).toThrow(/the time is NaN/);
  class Later extends Counter {
    override apply(command: { add: number }): unknown {
      return Promise.resolve(super.apply(command));
    }
  }
  expect(() => given(new Later()).when({ add: 1 })).toThrow(/answered command 1 with a promise/);
  expect(() => strictMachine(machine as never)).toThrow(/an instance of Counter/);
});

test('a machine that another scenario had is told where something is not as expected', () => {
  const machine = new Counter();
  given(machine).when({ add: 1 }).then(1);
  const again = given(machine).when({ add: 1 });
  expect(() => again.then(1)).toThrow(/result is 2, and 1 .*another scenario.*a new one/);
  again.then(2);
  expect(() => given(new Counter()).when({ add: 1 }).then(2)).toThrow(/2 was expected\.$/);
});

describe('what JSON does not keep', () => {
  class Users extends Counter {
    readonly users = new Map<string, number>();
    override snapshot(): unknown {
      return { users: this.users };
    }
  }
  class Mean extends Counter {
    override apply(command: { add: number }): unknown {
      super.apply(command);
      return { mean: this.value / 0 };
    }
  }
  class Expiry extends Counter {
    private at = new Date(0);
    override apply({ add }: { add: number }): unknown {
      this.at = new Date(this.at.getTime() + add);
      return this.at.getTime();
    }
    override snapshot(): unknown {
      return { at: this.at };
    }
    override restore(snapshot: unknown): void {
      this.at = (snapshot as { at: Date }).at;
    }
  }

  test('a Map in a snapshot is told before anything is run, by its path', async () => {
    const says = /^MACHINE_DEFECT: a snapshot has a Map at \$\.users .*\[\.\.\.map\].*codec/;
    await told(run(Users), says, 'MACHINE_DEFECT');
    await expect(checkSnapshots(Users, [])).rejects.toThrow(says);
    expect(() => given(new Users()).thenState({})).toThrow(says);
  });

  test('infinity in a result', async () => {
    const says = /a result has Infinity at \$\.mean .*makes null of it/;
    await told(run(Mean), says, 'MACHINE_DEFECT');
    expect(() => checkReplay(Mean, [{ add: 1 }])).toThrow(says);
    expect(() => given(new Mean()).when({ add: 1 })).toThrow(says);
  });

  test('a Set and a bigint in a command, which is the test’s own', async () => {
    await told(
      run(Counter, { workload: () => ({ add: 1n }) }),
      /a command has the bigint 1n at \$\.add/,
    );
    const set = { add: new Set([1]) } as never;
    expect(() => given(new Counter()).when(set)).toThrow(/INVALID_ARGUMENT: .* a Set at \$\.add/);
  });

  test('a Date is told where something fails, and no reproach where the machine reckons with it', async () => {
    const says =
      /at position 2: this\.at\.getTime[\s\S]*may come from this: a snapshot has a Date at \$\.at/;
    await told(run(Expiry), says, 'MACHINE_DEFECT');
    await expect(checkSnapshots(Expiry, [{ add: 1 }, { add: 2 }])).rejects.toThrow(
      /getTime.* may come from this: a snapshot has a Date/,
    );
    class Reckons extends Expiry {
      override restore(snapshot: unknown): void {
        super.restore({ at: new Date((snapshot as { at: string }).at) });
      }
    }
    await run(Reckons);
    await checkSnapshots(Reckons, [{ add: 1 }, { add: 2 }]);
    class Takes extends Counter {
      override apply({ add }: { add: number }): unknown {
        return (add as unknown as Date).getTime();
      }
    }
    const date = { add: new Date(5) as unknown as number };
    expect(() => given(new Takes()).when(date)).toThrow(
      /getTime.* a command has a Date at \$\.add/,
    );
  });
});
