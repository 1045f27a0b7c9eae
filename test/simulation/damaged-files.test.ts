import { damagedFilesScenario } from './damaged-files-scenario.ts';
import { describeScenario } from './describe-scenario.ts';

describeScenario('a node of which one file after the other is damaged', {
  holds: 'it goes on with what was acknowledged, or says what it refuses',
  scenario: damagedFilesScenario,
  seeds: 2,
});
