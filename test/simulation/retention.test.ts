import { describeScenario } from './describe-scenario.ts';
import { retentionScenario, type Sight } from './retention-scenario.ts';

const seen = new Set<Sight>();
const all: Sight[] = ['stopped by a hold', 'trimmed by age', 'trimmed by bytes'];

describeScenario('topics that keep little', {
  holds: 'nothing goes too early, and nothing stays too long',
  scenario: (seed) => retentionScenario(seed, seen),
  seeds: 2,
  firstSeed: 6,
  sights: { seen, all },
});
