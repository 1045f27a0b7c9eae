import { FeatureLevels } from '../../framework/log/metadata-repository/feature-levels.ts';
import { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';
import { runSeeds } from '../../framework/testing/index.ts';
import { untilFound } from './until-found.ts';
import { upgradeScenario } from './upgrade-scenario.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);
const MUTANT_SEEDS = 20;

/** A leader that supports a level agrees with itself. */
function raisesTooEarly(): () => void {
  const prototype = FeatureLevels.prototype as unknown as {
    repository: MetadataRepository;
    raise(): Promise<boolean>;
  };
  const { raise } = prototype;
  prototype.raise = async function (this: typeof prototype) {
    const { repository } = this;
    await repository.confirmedOrderer();
    const { featureLevel, supportedLevel: to } = repository.metadata;
    if (featureLevel < to) {
      await repository.execute({ kind: 'raiseFeatureLevel', to }, { sender: 'leader' });
    }
    return true;
  };
  return () => {
    prototype.raise = raise;
  };
}

/** Proposes whatever it is given. */
function checksNoLevel(): () => void {
  const prototype = MetadataRepository.prototype as unknown as { checkLevel(): Promise<void> };
  const { checkLevel } = prototype;
  prototype.checkLevel = async () => {};
  return () => {
    prototype.checkLevel = checkLevel;
  };
}

describe('members that are upgraded one after the other', () => {
  test(`through ${SEEDS} seeds: none fails, and what is new works once all know it`, async () => {
    const failures = await runSeeds({
      scenario: (seed) => upgradeScenario(seed),
      seeds: SEEDS,
      checkShare: 0.05,
      print: () => {},
    });
    expect(failures).toEqual([]);
  }, 1_200_000);

  test.each([
    ['the level is raised before all members support it', raisesTooEarly],
    ['commands are proposed before they are agreed on', checksNoLevel],
  ])(
    'it is found when %s',
    async (_, begin) => {
      const end = begin();
      try {
        const found = await untilFound(upgradeScenario, MUTANT_SEEDS);
        // Not by something else that such a cluster cannot do.
        expect(found).toMatch(/APPLY_FAILED|before all members/);
      } finally {
        end();
      }
    },
    1_200_000,
  );
});
