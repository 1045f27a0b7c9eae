import { CONSUMERS_MUTANTS } from './consumers-mutants.ts';
import { consumersScenario } from './consumers-scenario.ts';
import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';

describeScenario('consumers that are killed and started again', {
  holds: 'each record is done, in order by key, once in a database',
  scenario: consumersScenario,
  seeds: 1,
  broken: planted(CONSUMERS_MUTANTS, consumersScenario),
  shownBy: {
    'the store passes a parked record before the cluster knows of it': 8,
    'one that was added holds nothing until it runs': 2,
  },
});
