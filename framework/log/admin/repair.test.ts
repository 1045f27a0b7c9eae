import { CommitHistory, type LogStreamState, Metadata, type ReplicaState } from '../core/index.ts';
import { type Repair, repairOf } from './repair.ts';

interface Situation {
  acknowledge?: 'majority' | 'all';
  sealed?: boolean;
  sealedByOperator?: boolean;
  members?: number[];
  /** Nodes that have been silent for so many milliseconds. */
  silent?: Record<number, number>;
  states?: Record<number, ReplicaState>;
  ends?: Record<number, number>;
  epochs?: Record<number, number>;
  settledFor?: number;
  lag?: number;
  mayJoin?: boolean;
  stuckFor?: number;
  /** A node without a link to the leader. */
  linkless?: number;
  unsteady?: number;
  replicas?: number[];
  replicationFactor?: number;
  joining?: number[];
  leaving?: number[];
  draining?: number;
}

/** What is done about a log stream on nodes 1, 2 and 3 in epoch 4 that ends at 100. */
function repair(situation: Situation): Repair | undefined {
  const {
    sealed = false,
    sealedByOperator = false,
    members = [1, 2, 3],
    silent = {},
    states = {},
  } = situation;
  const metadata = new Metadata();
  metadata.apply({
    kind: 'registerTopic',
    id: 1,
    acknowledge: situation.acknowledge ?? 'majority',
  });
  for (const id of [1, 2, 3, 4]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
    if (id === situation.draining) {
      metadata.apply({ kind: 'drainStorageNode', id, cancel: false });
    }
  }
  const stream: LogStreamState = {
    id: 7,
    topicId: 1,
    replicas: situation.replicas ?? [1, 2, 3],
    members,
    replicationFactor: situation.replicationFactor ?? 3,
    joining: situation.joining ?? [],
    leaving: situation.leaving ?? [],
    preferred: 0,
    primaryProcess: '',
    initialMembers: members.map((node) => ({ node, disk: '' })),
    epoch: 4,
    sealed,
    sealedByOperator,
    revision: 0,
    changed: 'made',
    end: 100,
    lastGlsn: 100,
    version: 9,
    fence: 0,
    history: new CommitHistory(7),
  };
  return repairOf(stream, {
    metadata,
    processOf: (node) => {
      const isDown = node === situation.linkless || silent[node] !== undefined;
      return isDown ? '' : `process-${node}`;
    },
    unheardForMs: (node) => silent[node] ?? 0,
    report: (logStreamId, node) => ({
      logStreamId,
      epoch: situation.epochs?.[node] ?? 4,
      end: situation.ends?.[node] ?? 100,
      persistedVersion: 0,
      state: states[node] ?? (sealed ? 'sealed' : 'open'),
    }),
    stuckFor: () => situation.stuckFor,
    settledFor: () => situation.settledFor ?? 10_000,
    mayJoin: () => situation.mayJoin ?? true,
    lag: () => situation.lag ?? 0,
    inOrder: (_, nodes) =>
      [...nodes].sort(
        (a, b) => Number(a === situation.unsteady) - Number(b === situation.unsteady),
      ),
  });
}

const all = [1, 2, 3, 4];
/** The replica on node 3 is to go, in favour of one on node 4. */
const left: Situation = { replicas: all, joining: [4], leaving: [3] };
/** Of two replicas, a third one is being made. */
const grown: Situation = { members: [1, 2], joining: [3] };

const seal = { kind: 'seal', why: expect.any(String) };
const sealFor = (primary: number) => ({ ...seal, primary });
const sealTo = (learner: number) => ({ ...seal, learner });
const unseal = (...members: number[]) => ({ kind: 'unseal', members });

test.each<[string, Situation, unknown]>([
  ['all is well', {}, undefined],
  ['the primary is silent for a moment', { silent: { 1: 299 } }, undefined],
  ['the primary is lost', { silent: { 1: 300 } }, sealFor(1)],
  ['the primary was restarted', { states: { 1: 'restarted' } }, sealFor(1)],
  ['the disk of the primary failed', { states: { 1: 'failed' } }, sealFor(1)],
  ['a backup is lost, and a majority is enough', { silent: { 3: 9_000 } }, undefined],
  ['a backup is lost, and all are needed', { acknowledge: 'all', silent: { 3: 9_000 } }, seal],
  ['two of three are lost', { silent: { 1: 9_000, 2: 9_000 } }, undefined],
  ['of two members the backup is lost', { members: [1, 2], silent: { 2: 9_000 } }, seal],
  ['a learner has caught up', { members: [1, 2], states: { 3: 'learning' } }, sealTo(3)],
  ['a member that lost its data has it again', { states: { 3: 'learning' } }, sealTo(3)],
  ['a member that lost its data is far behind', { states: { 3: 'learning' }, lag: 301 }, undefined],
  ['two members lost their data', { states: { 2: 'learning', 3: 'learning' }, lag: 301 }, seal],
  ['the primary lost its data', { states: { 1: 'learning' }, lag: 301 }, sealFor(1)],
  ['a backup is damaged', { states: { 3: 'damaged' } }, undefined],
  ['the primary is damaged', { states: { 1: 'damaged' } }, sealFor(1)],
  ['a part of an atomic append waits for the others', { stuckFor: 999 }, undefined],
  ['a part of an atomic append waits in vain', { stuckFor: 1_000 }, seal],
  ['a learner is far behind', { members: [1, 2], states: { 3: 'learning' }, lag: 301 }, undefined],
  [
    'a learner that the log stream may not be sealed for now',
    { members: [1, 2], states: { 3: 'learning' }, mayJoin: false },
    undefined,
  ],
  [
    'one that leaves is a member, and so are all others',
    { ...left, replicas: [1, 2, 3] },
    sealTo(3),
  ],
  [
    'one that leaves waits for one that is new',
    { ...left, states: { 4: 'learning' }, lag: 301 },
    undefined,
  ],
  [
    'one that leaves waits for one that is down',
    { ...left, members: all, silent: { 2: 9 } },
    undefined,
  ],
  ['one that leaves goes when all others are members', { ...left, members: all }, sealTo(3)],
  [
    'one that left learns, and is not taken in again',
    { ...left, members: [1, 2, 4], states: { 3: 'learning' } },
    undefined,
  ],
  [
    'one that leaves is taken in again while another one is not there',
    { ...left, members: [1, 2], states: { 3: 'learning', 4: 'learning' }, lag: 0 },
    sealTo(3),
  ],
  [
    'one of two is lost while a third one is new',
    { ...grown, silent: { 1: 300 }, states: { 3: 'learning' } },
    sealFor(1),
  ],
  [
    'both of two are lost while a third one is new',
    { ...grown, silent: { 1: 300, 2: 300 } },
    undefined,
  ],
])('open: %s', (_, situation, due) => expect(repair(situation)).toEqual(due));

test.each<[string, Situation, unknown]>([
  ['all have all of it', {}, unseal(1, 2, 3)],
  ['one fails as the primary again and again', { unsteady: 1 }, unseal(2, 3, 1)],
  ['one is behind, for a moment', { ends: { 3: 99 }, settledFor: 299 }, undefined],
  ['one is behind, for longer', { ends: { 3: 99 }, settledFor: 300 }, unseal(1, 2)],
  ['one has not heard of the epoch', { epochs: { 1: 3 } }, unseal(2, 3)],
  ['one is still sealing', { states: { 2: 'sealing' } }, unseal(1, 3)],
  ['one is lost', { silent: { 1: 9_000 } }, unseal(2, 3)],
  ['one is lost, a moment ago', { silent: { 1: 300 }, settledFor: 0 }, unseal(2, 3)],
  ['only one of three has all of it', { ends: { 1: 5, 2: 5 } }, undefined],
  ['an operator sealed it', { sealedByOperator: true }, undefined],
  // To try it in vain would take the room of one that can be opened.
  ['the link of its primary is broken', { linkless: 1 }, undefined],
  ['the link of another one is broken', { linkless: 2 }, unseal(1, 2, 3)],
  ['one leaves, and all others have all of it', left, unseal(1, 2, 4)],
  [
    'one leaves, is late, and nobody waits for it',
    { ...left, ends: { 3: 9 }, settledFor: 0 },
    unseal(1, 2, 4),
  ],
  [
    'one leaves, and one that is new has not all of it',
    { ...left, ends: { 4: 9 } },
    unseal(1, 2, 3),
  ],
  [
    'the primary leaves, and one that is new has not all of it',
    { ...left, leaving: [1], ends: { 4: 9 } },
    unseal(2, 3, 1),
  ],
  ['the node of the primary is drained', { draining: 1 }, unseal(2, 3, 1)],
  [
    'of two one is lost, while a third one is new',
    { ...grown, silent: { 2: 9_000 }, ends: { 3: 0 } },
    unseal(1),
  ],
])('sealed: %s', (_, situation, due) =>
  expect(repair({ sealed: true, ...situation })).toEqual(due),
);
