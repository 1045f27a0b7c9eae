import { Shards } from '../../framework/smr/shards.ts';
import { runSeeds } from '../../framework/testing/index.ts';
import { replace } from './planted-defect.ts';
import { shardsScenario } from './shards-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);

/** What is private of them. */
interface Inner {
  watch(): void;
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
    const end = replace(Shards.prototype as unknown as Inner, 'watch', () => {});
    try {
      expect(await untilFound(shardsScenario)).toMatch(/took the logs shifted/);
    } finally {
      end();
    }
  }, 1_200_000);
});
