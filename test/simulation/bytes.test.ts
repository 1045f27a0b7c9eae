import { BYTES_MUTANTS } from './bytes-mutants.ts';
import { type BytesSight, bytesScenario } from './bytes-scenario.ts';
import { describeScenario } from './describe-scenario.ts';
import { planted } from './planted-defect.ts';

const seen = new Set<BytesSight>();
const all: BytesSight[] = ['changed places', 'given for nothing', 'other half by state alone'];

describeScenario('storage nodes have log streams of which some are written more to than others', {
  holds: 'bytes and counts become even and come to rest, and nothing is lost',
  scenario: (seed) => bytesScenario(seed, seen),
  seeds: 2,
  firstSeed: 6,
  sights: { seen, all },
  broken: planted(BYTES_MUTANTS, bytesScenario),
});
