import type { LogEntry } from '../../framework/base/index.ts';
import { MemoryApplier } from '../../framework/smr/memory-applier.ts';
import { ShardOrder } from '../../framework/smr/shard-plan.ts';
import { runSeeds } from '../../framework/testing/index.ts';
import { replace } from './planted-defect.ts';
import { shardsScenario } from './shards-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);

/** What is private of them. */
interface Inner {
  options: object;
  applyOne(entry: LogEntry): void;
}

/**
 * A shard passes over what another one wrote, as machines do that share a log; and nobody looks at the order that is
 * written at the beginning of the logs, which would tell as well.
 */
function passesOver(): () => void {
  const prototype = MemoryApplier.prototype as unknown as Inner;
  const { applyOne } = prototype;
  const ends = [
    replace(prototype, 'applyOne', function (this: Inner, entry) {
      this.options = { ...this.options, alone: false };
      applyOne.call(this, entry);
    }),
    replace(ShardOrder.prototype, 'check', async () => {}),
    replace(ShardOrder.prototype, 'claim', async () => {}),
  ];
  return () => {
    for (const end of ends) end();
  };
}

describe('a machine over several Raft groups, whose nodes crash', () => {
  test(`through ${SEEDS} seeds: all that was acknowledged is in the shard of its key, once, and the logs of others are refused`, async () => {
    const failures = await runSeeds({
      scenario: shardsScenario,
      seeds: SEEDS,
      checkShare: 0.1,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test('it is found when a shard does not see that its log is another one’s', async () => {
    const end = passesOver();
    try {
      expect(await untilFound(shardsScenario)).toMatch(/took the logs shifted/);
    } finally {
      end();
    }
  }, 1_200_000);
});
