import { LogContext } from '../../framework/smr/log-context.ts';
import { Rules } from '../../framework/smr/rules.ts';
import { runSeeds } from '../../framework/testing/index.ts';
import { replace } from './planted-defect.ts';
import { NEW_CODEC, rulesScenario } from './rules-scenario.ts';
import { untilFound } from './until-found.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 6);

/** Old code takes no notice of an upgrade. */
function goesOn(): () => void {
  return replace(Rules.prototype, 'raise', function (this: { now: number; newest: number }, to) {
    if (to <= this.newest) this.now = Math.max(this.now, to);
  } as Rules['raise']);
}

/** A replica applies by the newest rules that its own code knows. */
function goesAhead(): () => void {
  const { prototype } = LogContext;
  const inForce = Object.getOwnPropertyDescriptor(prototype, 'rules')!;
  const newest = function (this: { ruleSet: { newest: number } }): number {
    return this.ruleSet.newest;
  };
  Object.defineProperty(prototype, 'rules', { configurable: true, get: newest });
  return () => Object.defineProperty(prototype, 'rules', inForce);
}

/** A snapshot does not say which rules were in force. */
function forgets(): () => void {
  const { restore } = Rules.prototype;
  return replace(Rules.prototype, 'restore', function (this: Rules) {
    restore.call(this, 1);
  });
}

/** New code writes commands in their new shape at once. */
function writesNewShapes(): () => void {
  const { command } = NEW_CODEC;
  return replace(command, 'encodeUnder', (value) => command.encode(value));
}

describe('replicas of a machine that are upgraded one after the other', () => {
  test(`through ${SEEDS} seeds: no two of them ever answer differently, and all go on once they have new code`, async () => {
    const failures = await runSeeds({
      scenario: rulesScenario,
      seeds: SEEDS,
      checkShare: 0.1,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each([
    ['old code goes on under rules that it does not know', goesOn],
    ['new code goes by new rules before they are in force', goesAhead],
    ['a snapshot forgets the rules', forgets],
    ['new code writes commands that old code cannot read', writesNewShapes],
  ])(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        expect(await untilFound(rulesScenario)).toMatch(
          /answers|differ|STATE_DIVERGED|newer shape/,
        );
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
