import { reasonOf } from '../base/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import { type ApplyContext, type Consistency, skipCommand, startReplica } from './index.ts';
import { type Put, Sums } from './sums.fixture.ts';

/** It breaks at a value of 3, in the middle of a change. */
class Torn extends Sums {
  override apply(put: Put, context: ApplyContext): number {
    const sum = super.apply(put, context);
    if (put.value === 3) throw new Error('a bug');
    return sum;
  }
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

test('a query sees nothing of a command that failed in the middle, nor takes the state from before for a fresh one', async () => {
  const log = new MemoryLog();
  const [looks, mayLook, mayRead] = [gate(), gate(), gate()];
  let failsAt = Number.POSITIVE_INFINITY;
  const gated = Object.assign(Object.create(log) as MemoryLog, {
    append: log.append.bind(log),
    async *follow(...[from, options]: Parameters<MemoryLog['follow']>) {
      if (from === 1 && failsAt < Number.POSITIVE_INFINITY) await mayRead.opened;
      yield* log.follow(from, options);
    },
    tail: async () => {
      if (failsAt < Number.POSITIVE_INFINITY) {
        looks.open();
        await mayLook.opened;
      }
      return log.tail();
    },
  });
  await using replica = await startReplica({ machine: new Torn(), log: gated });
  for (const value of [1, 2]) await replica.execute({ key: 'a', value });
  const served = replica.position;
  await replica.query(() => {});
  failsAt = served + 1;
  const failing = replica.execute({ key: 'a', value: 3 }).catch(reasonOf);
  await looks.opened;
  const seenBy = (consistency: Consistency): Promise<unknown> =>
    replica.query(({ sums }) => ({ ...sums }), { consistency });
  const late = replica.query(() => {}, { consistency: 'stale', timeoutMs: 1 });
  await expect(late).rejects.toThrow(/TIMEOUT: the replica had no whole state within 1 ms/);
  const stale = seenBy('stale');
  const fresh = Promise.all([seenBy({ maxStalenessMs: 3_600_000 }), seenBy({ atLeast: served })]);
  await skipCommand(log, failsAt);
  mayLook.open();
  // The replica begins anew, without a snapshot.
  expect(await stale).toEqual({});
  const early = seenBy({ maxStalenessMs: 3_600_000 });
  mayRead.open();
  for (const it of [...(await fresh), await early]) expect(it).toEqual({ a: 3 });
  expect(await failing).toMatch(/passed over/);
});
