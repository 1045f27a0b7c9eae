import { FeatureLevels } from '../../framework/log/metadata-repository/feature-levels.ts';
import { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';
import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';
import { upgradeScenario } from './upgrade-scenario.ts';

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

const broken = planted(
  {
    'the level is raised before all members support it': raisesTooEarly,
    'commands are proposed before they are agreed on': checksNoLevel,
  },
  (seed) =>
    upgradeScenario(seed).catch((error: unknown) => {
      // What such a cluster cannot do otherwise does not show the defect.
      if (/APPLY_FAILED|before all members/.test(String(error))) throw error;
    }),
);

describeScenario('members that are upgraded one after the other', {
  holds: 'none fails, and what is new works once all know it',
  scenario: upgradeScenario,
  seeds: 1,
  broken,
  shownBy: { 'the level is raised before all members support it': 2 },
});
