import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import type { VarlogError } from '../../base/index.ts';
import { CommandQueue } from '../../smr/command-queue.ts';
import { type ApplyContext, bytesCodec, type StateMachine } from '../../smr/index.ts';
import { ReadBarrier } from '../../smr/read-barrier.ts';
import { SessionTable } from '../../smr/session-table.ts';
import type { SeededRandom } from '../simulator/random.ts';
import { failureOf } from './failure-of.fixture.ts';
import { simulate } from './simulate.ts';

type Command = { add: number };
const workload = (random: SeededRandom): Command => ({ add: 1 + random.below(9) });

class Counter implements StateMachine<Command, unknown, unknown> {
  value = 0;
  apply({ add }: Command): unknown {
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

/** What all counters have in common, by mistake. */
let inCommon = 0;

const DEFECTS: Record<string, [kind: string, machine: new () => Counter, says: RegExp]> = {
  'chance of the process': [
    'nondeterministic',
    class extends Counter {
      override apply(command: Command): unknown {
        return [super.apply(command), Math.random()];
      }
    },
    /Math\.random\(\) was called in a simulation[\s\S]*context\.random\(\)/,
  ],
  'chance that nobody guards': [
    'nondeterministic',
    class extends Counter {
      override apply(command: Command): unknown {
        return [super.apply(command), randomInt(1_000_000)];
      }
    },
    /position \d+: result\[1\] is \d+ at replica r\d and \d+ at /,
  ],
  'the clock of the process': [
    'nondeterministic',
    class extends Counter {
      override apply(command: Command): unknown {
        super.apply(command);
        return Date.now();
      }
    },
    /Date\.now\(\) was called in a simulation[\s\S]*context\.time/,
  ],
  'a date of now': [
    'nondeterministic',
    class extends Counter {
      override apply(command: Command): unknown {
        super.apply(command);
        return new Date().toISOString();
      }
    },
    /new Date\(\) was called in a simulation/,
  ],
  'state that machines have in common': [
    'nondeterministic',
    class extends Counter {
      override apply({ add }: Command): unknown {
        inCommon += add;
        return inCommon;
      }
    },
    /the same commands led to something else|replicas differ/,
  ],
  'state that is not in the snapshot': [
    'snapshot',
    class extends Counter {
      private calls = 0;
      override apply(command: Command): unknown {
        this.calls++;
        return [super.apply(command), this.calls % 3];
      }
    },
    /restored from the snapshot[\s\S]*result\[1\] is/,
  ],
  'a restore that keeps what was before': [
    'snapshot',
    class extends Counter {
      private readonly seen = new Set<number>();
      override apply({ add }: Command): unknown {
        this.seen.add(add);
        return this.seen.size;
      }
      override snapshot(): unknown {
        return [...this.seen].sort();
      }
      override restore(seen: unknown): void {
        for (const it of seen as number[]) this.seen.add(it);
      }
    },
    /a machine that had another state before, restored/,
  ],
  'a snapshot that changes the machine': [
    'nondeterministic',
    class extends Counter {
      override snapshot(): unknown {
        return ++this.value;
      }
    },
    /at position/,
  ],
  'a result that goes on changing': [
    'sharedResult',
    class extends Counter {
      private readonly all: number[] = [];
      override apply({ add }: Command): unknown {
        this.all.push(add);
        return this.all;
      }
      override snapshot(): unknown {
        return this.all;
      }
      override restore(all: unknown): void {
        this.all.splice(0, this.all.length, ...(all as number[]));
      }
    },
    /changed after it was given[\s\S]*return a copy/,
  ],
  'an exception at a rare command': [
    'threw',
    class extends Counter {
      override apply(command: Command): unknown {
        if (command.add === 7) throw new RangeError('seven is too much');
        return super.apply(command);
      }
    },
    /seven is too much/,
  ],
  'an answer by promise': [
    'threw',
    class extends Counter {
      override async apply(command: Command): Promise<unknown> {
        return super.apply(command);
      }
    },
    /promise/,
  ],
  'a result that cannot be encoded': [
    'threw',
    class extends Counter {
      override apply(command: Command): unknown {
        return BigInt(super.apply(command) as number);
      }
    },
    /BigInt/,
  ],
  'a snapshot that cannot be made': [
    'threw',
    class extends Counter {
      override snapshot(): unknown {
        if (this.value > 20) throw new Error('no more than 20');
        return this.value;
      }
    },
    /no more than 20/,
  ],
};

test('a machine that does what it should survives everything', async () => {
  const report = await simulate(Counter, { seeds: 20, workload, invariant: (it) => it.value >= 0 });
  expect(report).toMatchObject({ seeds: 20, commands: 400 });
  expect(report.faults).toBeGreaterThan(50);
});

test('time, chance and bytes are fine where they come from the log', async () => {
  class Lottery implements StateMachine<Uint8Array, Uint8Array, Uint8Array> {
    private drawn: Uint8Array = new Uint8Array(8);
    apply(ticket: Uint8Array, context: ApplyContext): Uint8Array {
      const { time, position } = context;
      const next = this.drawn.slice();
      next[position % 8]! += ticket[0]! + (time % 10);
      this.drawn = next;
      return next.slice(Math.floor(context.random() * 8));
    }
    snapshot(): Uint8Array {
      return this.drawn;
    }
    restore(drawn: Uint8Array): void {
      this.drawn = drawn;
    }
  }
  await simulate(() => new Lottery(), {
    seeds: 10,
    workload: (random) => new Uint8Array([random.below(256)]),
    codec: { command: bytesCodec, result: bytesCodec, snapshot: bytesCodec },
  });
});

test.each(Object.entries(DEFECTS))('%s is found', async (_, [kind, machine, says]) => {
  const failure = await failureOf(simulate(machine, { seeds: 30, workload }));
  expect(failure).toMatchObject({ code: 'MACHINE_DEFECT', details: { kind } });
  expect(failure.message).toMatch(says);
  const { commands, faults, story, seed } = failure.details as Record<string, unknown[]>;
  expect(failure.message).toContain(`firstSeed: ${seed}`);
  // None of these needs more than a few commands, and the faults have nothing to do with it.
  expect(commands!.length).toBeLessThanOrEqual(6);
  expect(faults).toEqual([]);
  expect(story!.join('\n')).toMatch(/r1 runs/);
});

test('an invariant that does not hold is found, with the commands that lead there', async () => {
  const invariant = ({ value }: Counter) => {
    if (value > 60 && value % 2 === 1) throw new Error(`${value} is odd`);
  };
  const failure = await failureOf(simulate(Counter, { seeds: 30, workload, invariant }));
  expect(failure).toMatchObject({ details: { kind: 'invariant' } });
  expect(failure.message).toMatch(/is odd/);
  const { commands } = failure.details as { commands: number[] };
  // At nine for a command it takes seven to come beyond sixty.
  expect(commands.length).toBeGreaterThanOrEqual(7);
  expect(commands.length).toBeLessThan(20);
});

test('the same seeds do the same, others do not, and a failing one fails alone as among others', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async (firstSeed) => {
      const hashOf = async (from: number): Promise<string> =>
        (await simulate(Counter, { seeds: 2, firstSeed: from, workload })).traceHash;
      const first = await hashOf(firstSeed);
      expect(await hashOf(firstSeed)).toBe(first);
      expect(await hashOf(firstSeed + 1)).not.toBe(first);
    }),
    { numRuns: 5 },
  );
  const [, machine] = DEFECTS['an exception at a rare command']!;
  const found = await failureOf(simulate(machine, { seeds: 30, workload }));
  const { seed: firstSeed } = found.details as { seed: number };
  const again = await failureOf(simulate(machine, { seeds: 1, firstSeed, workload }));
  expect(again.details).toEqual(found.details);
});

test('a workload that draws from elsewhere is found', async () => {
  const drawn = { add: 0 };
  const elsewhere = (): Command => ({ add: ++drawn.add });
  const failure = await failureOf(simulate(Counter, { seeds: 1, workload: elsewhere }));
  expect(failure.message).toMatch(/did not do the same twice with seed 1/);
});

test('options that make no sense are refused', async () => {
  const bad = { code: 'INVALID_ARGUMENT' };
  await expect(simulate(Counter, { workload, seeds: 0 })).rejects.toMatchObject(bad);
  await expect(simulate(Counter, { workload, commands: 1.5 })).rejects.toMatchObject(bad);
  const faults = ['earthquake' as 'crash'];
  await expect(simulate(Counter, { workload, faults })).rejects.toThrow(
    /no fault "earthquake"; .* crash, /,
  );
  const own = new Error('no idea');
  const helpless = (): Command => {
    throw own;
  };
  await expect(simulate(Counter, { workload: helpless })).rejects.toBe(own);
});

describe('what replicas owe is checked as well: a defect in them is found', () => {
  afterEach(() => jest.restoreAllMocks());
  const found = (): Promise<VarlogError> => failureOf(simulate(Counter, { seeds: 60, workload }));

  test('a query that does not wait', async () => {
    jest.spyOn(ReadBarrier.prototype, 'latest').mockResolvedValue();
    expect((await found()).message).toMatch(/a query at replica r\d .* did not see command #\d+/);
  });

  test('a repeated command that takes effect again', async () => {
    const { admit } = SessionTable.prototype;
    jest.spyOn(SessionTable.prototype, 'admit').mockImplementation(function (
      this: SessionTable,
      id,
      use,
    ) {
      const verdict = admit.call(this, id, use);
      return verdict === 'repeated' ? 'fresh' : verdict;
    });
    expect((await found()).message).toMatch(/command #\d+ took effect twice/);
  });

  test('a caller who is forgotten when a snapshot jumps over its command', async () => {
    jest.spyOn(CommandQueue.prototype, 'reconcile').mockImplementation(() => {});
    expect((await found()).details).toMatchObject({ kind: 'stuck' });
  });
});
