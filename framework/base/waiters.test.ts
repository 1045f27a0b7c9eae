import fc from 'fast-check';
import { Waiter } from './waiter.ts';
import { Waiters } from './waiters.ts';

/** How one that waits is to end, if nothing else happens to it before. */
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), want: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('reach' as const), to: fc.nat(20) }) },
  fc.record({ kind: fc.constant('cut' as const), to: fc.nat(20) }),
  fc.record({ kind: fc.constant('abort' as const), which: fc.nat(30) }),
  fc.record({ kind: fc.constant('expire' as const), which: fc.nat(30) }),
);

interface Case {
  readonly want: number;
  readonly ending: AbortController;
  /** Says that its time is up; undefined once the limit was called off. */
  expire: ((error: unknown) => void) | undefined;
  expected: string | undefined;
  readonly outcome: Promise<string>;
}

test('every promise settles, once, as the first that happened to it says; what is settled is gone', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 80 }), async (actions) => {
      const waiters = new Waiters<number>();
      const cases: Case[] = [];
      const end = (doomed: (it: Case) => boolean, how: string): void => {
        for (const it of cases) if (it.expected === undefined && doomed(it)) it.expected = how;
      };
      for (const it of actions) {
        if (it.kind === 'wait') {
          const ending = new AbortController();
          let expire: ((error: unknown) => void) | undefined;
          const limit = (given: (error: unknown) => void) => {
            expire = given;
            return () => {
              made.expire = undefined;
            };
          };
          const promise = waiters.wait(it.want, { signal: ending.signal, limit });
          const outcome = promise.then(() => 'reached', String);
          const made: Case = { want: it.want, ending, expire, expected: undefined, outcome };
          cases.push(made);
        } else if (it.kind === 'reach') {
          waiters.resolve((want) => want <= it.to);
          end(({ want }) => want <= it.to, 'reached');
        } else if (it.kind === 'cut') {
          waiters.reject(
            (want) => want > it.to,
            (want) => `cut ${want}`,
          );
          for (const one of cases)
            end((other) => other === one && one.want > it.to, `cut ${one.want}`);
        } else if (it.kind === 'abort') {
          cases[it.which]?.ending.abort('aborted');
          end((other) => other === cases[it.which], 'aborted');
        } else {
          cases[it.which]?.expire?.('late');
          end((other) => other === cases[it.which], 'late');
        }
        const open = cases.filter(({ expected }) => expected === undefined);
        expect(waiters.size).toBe(open.length);
        expect([...waiters.wants()]).toEqual(open.map(({ want }) => want));
        // The limit of one that is settled was called off.
        for (const one of cases) expect(one.expire === undefined).toBe(one.expected !== undefined);
      }
      waiters.stop('stopped');
      end(() => true, 'stopped');
      expect(waiters.size).toBe(0);
      await expect(waiters.wait(1)).rejects.toBe('stopped');
      const outcomes = await Promise.all(cases.map(({ outcome }) => outcome));
      expect(outcomes).toEqual(cases.map(({ expected }) => expected));
    }),
  );
});

test('one whose condition throws is rejected with that, and the others are looked at all the same', async () => {
  const waiters = new Waiters<number>();
  const [bad, good, open] = [waiters.wait(1), waiters.wait(2), waiters.wait(3)];
  waiters.resolve((want) => {
    if (want === 1) throw new Error('never');
    return want === 2;
  });
  await expect(bad).rejects.toThrow('never');
  await good;
  expect([...waiters.wants()]).toEqual([3]);
  waiters.stop(new Error('over'));
  await expect(open).rejects.toThrow('over');
});

test('whoever comes with an aborted signal does not wait', async () => {
  const waiters = new Waiters<number>();
  await expect(waiters.wait(1, { signal: AbortSignal.abort('no') })).rejects.toBe('no');
  expect(waiters.size).toBe(0);
});

test('they are told in the order in which they came', async () => {
  const waiters = new Waiters<number>();
  const resolved: number[] = [];
  const all = [5, 1, 3].map((it) => waiters.wait(it).then(() => resolved.push(it)));
  waiters.resolve(() => true);
  await Promise.all(all);
  expect(resolved).toEqual([5, 1, 3]);
});

describe('a waiter', () => {
  test('settles once, with what came first', async () => {
    const ending = new AbortController();
    let settled = 0;
    const waiter = new Waiter<number>(ending.signal, () => settled++);
    expect(waiter.settled).toBe(false);
    waiter.resolve(7);
    waiter.reject(new Error('too late'));
    ending.abort();
    expect([waiter.settled, settled]).toEqual([true, 1]);
    await expect(waiter.promise).resolves.toBe(7);
  });

  test('is settled from the start when its caller has given up already', async () => {
    const waiter = new Waiter<number>(AbortSignal.abort('no'));
    expect(waiter.settled).toBe(true);
    await expect(waiter.promise).rejects.toBe('no');
  });
});
