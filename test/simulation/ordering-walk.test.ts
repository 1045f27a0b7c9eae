import { type Defect, OrderingWalk, type Sight, Violation } from './ordering-walk.ts';

const WALKS = Number(process.env['WALKS'] ?? 500);
const STEPS = 1_500;
/** A planted defect must be found within so many walks. */
const WALKS_MAX = 20_000;

const DEFECTS: readonly Defect[] = [
  'glsnFromProposer',
  'quorumOfTheHeard',
  'sealedAdvances',
  'reportBeforeSync',
  'replicateWithoutEpoch',
  'openWithoutSync',
  'ackWhenPrimaryDurable',
  'cutsWithoutEpoch',
  'reportsWithoutEpoch',
  'commitsWithoutEpoch',
  'commitLengthOnly',
  'numberByLatestCut',
  'keepSuffixAtUnseal',
  'resumeSameEpoch',
  'syncFromAnySurvivor',
  'pipelineBaseKept',
  'anyMemberStays',
];

function violationOf(seed: number, acknowledge: 'majority' | 'all', defect?: Defect) {
  const defects = defect === undefined ? [] : [defect];
  const walk = new OrderingWalk({ seed, steps: STEPS, acknowledge, defects });
  try {
    walk.run();
    return { walk, violation: undefined };
  } catch (error) {
    if (error instanceof Violation) return { walk, violation: error.message };
    throw error;
  }
}

describe('the ordering protocol', () => {
  test.each(['majority', 'all'] as const)(
    `keeps its promises in ${WALKS} walks, acknowledged by %s`,
    (acknowledge) => {
      const sights = new Set<Sight>();
      let acknowledgements = 0;
      for (let seed = 1; seed <= WALKS; seed++) {
        const { walk, violation } = violationOf(seed, acknowledge);
        expect({ seed, violation }).toEqual({ seed, violation: undefined });
        for (const it of walk.sights) sights.add(it);
        acknowledgements += walk.acknowledgements;
      }
      // Otherwise the walks say nothing.
      expect(acknowledgements / WALKS).toBeGreaterThan(10);
      expect([...sights].sort()).toEqual([
        'ack',
        'changeRefused',
        'crash',
        'cutOff',
        'droppedProposal',
        'history',
        'leaderChange',
        'lostDisk',
        'overtaken',
        'replicaComesBack',
        'replicasChanged',
        'restartedPrimary',
        'sealedWaiter',
        'suffixCut',
        'sync',
      ]);
    },
    300_000,
  );

  const found: string[] = [];
  afterAll(() => console.log(`walks until a planted defect was found:\n${found.join('\n')}`));

  test.each(DEFECTS)(
    'the planted defect %s is found',
    (defect) => {
      for (let seed = 1; seed <= WALKS_MAX; seed++) {
        const { violation } = violationOf(seed, 'majority', defect);
        if (violation === undefined) continue;
        found.push(`${defect}: ${seed} (${violation})`);
        return;
      }
      throw new Error(`not found in ${WALKS_MAX} walks`);
    },
    300_000,
  );
});
