import { VarlogError } from '../../base/index.ts';
import { Tally, type TallyCommand } from '../../smr/forkable.fixture.ts';
import type { ApplyContext } from '../../smr/index.ts';
import { Speculator } from '../../smr/speculator.ts';
import type { SeededRandom } from '../simulator/random.ts';
import { simulate } from './simulate.ts';

/** Machines with a `fork()`, on which part of the clients speculate. */

const KEYS = ['a', 'b'];
function workload(random: SeededRandom): TallyCommand {
  const key = random.pick(KEYS);
  if (random.chance(0.1)) return { op: 'later', key, by: 1, ms: random.below(50) };
  if (random.chance(0.1)) return { op: 'stamp', key, of: random.pick(['place', 'time', 'chance']) };
  return { op: 'add', key, by: random.below(10) - 4 };
}

class Sharing extends Tally {
  override fork(): Tally {
    const fork = new Sharing();
    fork.sums = this.sums;
    return fork;
  }
}

class Forgetting extends Tally {
  override fork(): Tally {
    const fork = new Forgetting();
    for (const [key, sum] of this.sums) if (key !== 'b') fork.sums.set(key, sum);
    return fork;
  }
}

class Itself extends Tally {
  override fork(): Tally {
    return this;
  }
}

/** Works otherwise where it was forked, which shows in what it answers alone. */
class Otherwise extends Tally {
  private isFork = false;
  override apply(command: TallyCommand, context: ApplyContext<TallyCommand>) {
    const result = super.apply(command, context);
    return this.isFork && 'sum' in result ? { ...result, sum: result.sum + 1 } : result;
  }
  override fork(): Tally {
    const fork = new Otherwise();
    fork.sums = this.sums.fork();
    fork.isFork = true;
    return fork;
  }
}

/** Throws in a state that only its forks come to. */
class Fragile extends Tally {
  private isFork = false;
  override apply(command: TallyCommand, context: ApplyContext<TallyCommand>) {
    if (this.isFork) throw new Error('not here');
    return super.apply(command, context);
  }
  override fork(): Tally {
    const fork = new Fragile();
    fork.sums = this.sums.fork();
    fork.isFork = true;
    return fork;
  }
}

async function failureOf(run: Promise<unknown>): Promise<VarlogError> {
  const error = await run.then(
    () => undefined,
    (it: unknown) => it,
  );
  if (VarlogError.is(error, 'MACHINE_DEFECT')) return error;
  throw new Error(`it was not found: ${error}`);
}

test('a machine that can be forked survives everything while half of its clients speculate', async () => {
  const report = await simulate(Tally, { seeds: 6, workload });
  expect(report).toMatchObject({ seeds: 6, commands: 120 });
  expect(await simulate(Tally, { seeds: 6, workload, speculate: 0.5 })).toEqual(report);
  const none = await simulate(Tally, { seeds: 6, workload, speculate: 0 });
  expect(none.traceHash).not.toBe(report.traceHash);
});

test('tentative answers are right and wrong, and the story tells of both', async () => {
  const found = { confirmed: 0, rolledBack: 0 };
  const { endOf } = Speculator.prototype as unknown as {
    endOf(...of: unknown[]): { kind: string };
  };
  const spy = jest
    .spyOn(Speculator.prototype as unknown as { endOf: typeof endOf }, 'endOf')
    .mockImplementation(function (this: unknown, ...of) {
      const end = endOf.apply(this, of);
      if (end.kind in found) found[end.kind as keyof typeof found]++;
      return end;
    });
  try {
    await simulate(Tally, { seeds: 20, workload });
  } finally {
    spy.mockRestore();
  }
  expect(found.confirmed).toBeGreaterThan(10);
  expect(found.rolledBack).toBeGreaterThan(10);
});

test.each<[string, new () => Tally, number, string, RegExp]>([
  ['shares its state', Sharing, 0, 'fork', /a fork is no copy of the machine, at position \d+/],
  ['leaves something out', Forgetting, 0, 'fork', /state\[\d\] is .* in the machine/],
  ['is the machine itself', Itself, 0, 'fork', /when its fork had applied the command/],
  [
    'works otherwise',
    Otherwise,
    0,
    'fork',
    /result\.sum is -?\d+ at a fork and -?\d+ at the machine/,
  ],
  ['throws', Fragile, 0, 'threw', /could not apply the command .*not here/],
  [
    'shares its state, and is used',
    Sharing,
    1,
    'fork',
    /the state has what was answered tentatively/,
  ],
  [
    'is the machine itself, and is used',
    Itself,
    1,
    'threw',
    /`fork\(\)` .* gave the machine itself/,
  ],
  ['throws, and is used', Fragile, 1, 'threw', /not here/],
])('a fork that %s is found', async (_, machine, speculate, kind, says) => {
  const failure = await failureOf(simulate(machine, { seeds: 30, workload, speculate }));
  expect(failure.message).toMatch(says);
  expect(failure.details).toMatchObject({ kind });
});

test('a replica that confirms what was wrong is found', async () => {
  const prototype = Speculator.prototype as unknown as {
    endOf(...of: unknown[]): { kind: string };
  };
  const { endOf } = prototype;
  const spy = jest.spyOn(prototype, 'endOf').mockImplementation(function (this: unknown, ...of) {
    const end = endOf.apply(this, of);
    return end.kind === 'rolledBack' ? { ...end, kind: 'confirmed' } : end;
  });
  try {
    const failure = await failureOf(simulate(Tally, { seeds: 30, workload }));
    expect(failure.message).toMatch(/the answer to command #\d+ was wrong, and is confirmed/);
    expect(failure.details).toMatchObject({ kind: 'lost' });
    expect(failure.message).toMatch(/answers #\d+ tentatively: /);
  } finally {
    spy.mockRestore();
  }
});

test('a share that is none, and one for a machine that cannot be forked, are refused', async () => {
  const bad = { code: 'INVALID_ARGUMENT' };
  for (const speculate of [-1, 2, Number.NaN, '1' as unknown as number])
    await expect(simulate(Tally, { workload, speculate })).rejects.toMatchObject(bad);
  class Plain {
    apply(): number {
      return 1;
    }
    snapshot(): number {
      return 1;
    }
    restore(): void {}
  }
  await expect(simulate(Plain, { workload: () => 1, speculate: 0.5 })).rejects.toThrow(
    /Plain has no `fork\(\)`/,
  );
});
