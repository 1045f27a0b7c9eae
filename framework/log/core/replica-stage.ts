import { assert } from '../../base/index.ts';
import type { ReplicaState } from './cut-planner.ts';

/** Where a replica stands between what it was told last and what it has durably taken over. */
export type ReplicaStage =
  /** It was not told what it is for. */
  | 'unassigned'
  /** Its log stream is sealed: it is on the way to hold exactly what was ordered. */
  | 'sealing'
  | 'sealed'
  /** A member of an epoch that it is to take over. */
  | 'opening'
  | 'open'
  /** The primary of an epoch that another process was to open: it appends nothing. */
  | 'restarted'
  /** No member: gets what is committed. */
  | 'learning'
  /** A member that lacks what the epoch began with: gets what is committed, to be whole for the next one. */
  | 'lacking'
  | 'failed'
  | 'damaged';

/** What can happen to the stage of a replica. All but the last two compare a wish with what is durable. */
export type ReplicaEvent =
  /** A sealed log stream is wanted, and is not what is durable. */
  | 'seal'
  /** A sealed log stream is wanted, and durable. */
  | 'isSealed'
  /** It is to be a member of an epoch that is not durable. */
  | 'open'
  /** It is a member of the epoch that is durable: a backup, or the primary that the epoch names. */
  | 'isOpen'
  /** It is the primary of the epoch that is durable, and this process did not open it. */
  | 'isOpenedElsewhere'
  /** It is to be a member, and is known to lack what the epoch began with. */
  | 'lacks'
  /** It is to be no member. */
  | 'learn'
  /** A write failed. */
  | 'fail'
  /** What was durable is damaged. */
  | 'damage';

/** Kinds of steps that a stage may ask for: see `Step`. */
type StepKind = 'truncate' | 'adopt' | 'fetchCommitted' | 'followPrimary' | 'none';

interface StageRow {
  readonly steps: readonly StepKind[];
  /** What is missing cannot happen. */
  readonly on: Partial<Record<ReplicaEvent, ReplicaStage>>;
}

/** Where these lead from every stage that is not final. */
const ANYWHERE = {
  seal: 'sealing',
  open: 'opening',
  learn: 'learning',
  fail: 'failed',
  damage: 'damaged',
} as const;
/** Final: a replica that begins anew is another one. */
const final = (stage: 'failed' | 'damaged'): StageRow => ({
  steps: ['none'],
  on: {
    seal: stage,
    isSealed: stage,
    open: stage,
    isOpen: stage,
    isOpenedElsewhere: stage,
    lacks: stage,
    learn: stage,
    fail: stage,
    damage: stage,
  },
});

/** The stages of a replica: what each asks for, and where each event leads. */
export const STAGES: Readonly<Record<ReplicaStage, StageRow>> = {
  unassigned: {
    steps: ['none'],
    on: { ...ANYWHERE, isSealed: 'sealed', isOpen: 'open', isOpenedElsewhere: 'restarted' },
  },
  sealing: {
    steps: ['truncate', 'fetchCommitted', 'adopt'],
    on: { ...ANYWHERE, isSealed: 'sealed', lacks: 'lacking' },
  },
  sealed: { steps: ['none'], on: { ...ANYWHERE, isSealed: 'sealed' } },
  opening: {
    steps: ['adopt'],
    on: { ...ANYWHERE, isOpen: 'open', isOpenedElsewhere: 'restarted', lacks: 'lacking' },
  },
  open: { steps: ['none', 'followPrimary'], on: { ...ANYWHERE, isOpen: 'open' } },
  restarted: { steps: ['none'], on: { ...ANYWHERE, isOpenedElsewhere: 'restarted' } },
  learning: { steps: ['truncate', 'fetchCommitted'], on: { ...ANYWHERE, lacks: 'lacking' } },
  lacking: {
    steps: ['truncate', 'fetchCommitted'],
    on: { ...ANYWHERE, lacks: 'lacking' },
  },
  failed: final('failed'),
  damaged: final('damaged'),
};

/** Where `event` leads from `stage`. Throws `INVARIANT` for what cannot happen. */
export function nextStage(stage: ReplicaStage, event: ReplicaEvent): ReplicaStage {
  const next = STAGES[stage].on[event];
  assert(next !== undefined, `a replica that is ${stage} never meets "${event}"`);
  return next;
}

/**
 * What other replicas have of what this one lacks: perhaps all of it, or nothing. `lost`: it lacks what it had, and nobody
 * else has it.
 */
export type Elsewhere = 'someHave' | 'noneHave' | 'lost';

/** What a stage is called in reports. */
export function reportedState(stage: ReplicaStage, elsewhere: Elsewhere): ReplicaState {
  switch (stage) {
    case 'unassigned':
      return 'failed';
    case 'opening':
      return 'sealing';
    case 'sealing':
      return elsewhere === 'lost' ? 'damaged' : 'sealing';
    case 'lacking':
      return elsewhere === 'someHave' ? 'learning' : 'damaged';
    default:
      return stage;
  }
}
