import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';
import { PRODUCER_MUTANTS } from './producer-mutants.ts';
import { producerScenario } from './producer-scenario.ts';

describeScenario('producers that retry what they do not know the outcome of', {
  holds: 'every sequence stands in the log once',
  scenario: producerScenario,
  seeds: 1,
  broken: planted(PRODUCER_MUTANTS, producerScenario),
  shownBy: {
    'the table is lost with the process': 2,
    'the records behind the file are not looked at': 2,
    'records are trimmed before the file stands for them': 4,
    'what is cut off is remembered': 2,
  },
});
