import { assert, type LogIndex } from '../../base/index.ts';
import { endOf } from './entry-batch.ts';
import type {
  AppendMessage,
  CommitMessage,
  Heartbeat,
  Message,
  SnapshotMessage,
} from './message.ts';
import type { RoleContext } from './role.ts';

/** Follows the leader of the current term, from whom `message` comes. */
function follow(raft: RoleContext, message: Message): void {
  assert(raft.role !== 'leader', 'a term has one leader');
  if (raft.role === 'follower' && raft.leader === message.from) {
    raft.restartElectionElapsed();
  } else raft.becomeFollower(message.term, message.from);
}

/** AppendEntries (paper §5.3). */
export function onAppend(raft: RoleContext, message: AppendMessage): void {
  follow(raft, message);
  const { log } = raft;
  if (message.prevIndex < log.commit) {
    // What is committed agrees with every leader, and its beginning may be compacted here.
    acknowledge(raft, message.from, log.commit);
    return;
  }
  if (!log.matches(message.prevIndex, message.prevTerm)) {
    reject(raft, message);
    return;
  }
  const { batches } = message;
  const known = log.present(batches);
  if (known < batches.length) {
    const first = batches[known]!;
    if (first.index <= log.last) raft.truncate(first.index - 1);
    for (let i = known; i < batches.length; i++) raft.append(batches[i]!);
  }
  const end = batches.length === 0 ? message.prevIndex : endOf(batches.at(-1)!);
  log.commitTo(Math.min(message.commit, end));
  acknowledge(raft, message.from, end);
}

export function onHeartbeat(raft: RoleContext, message: Heartbeat): void {
  follow(raft, message);
  raft.log.commitTo(message.commit);
  const promises = raft.options.leaseMs !== undefined;
  raft.send({ type: 'heartbeatResponse', to: message.from, round: message.round, promises });
}

export function onCommit(raft: RoleContext, message: CommitMessage): void {
  follow(raft, message);
  raft.log.commitTo(message.commit);
}

/** InstallSnapshot (paper §7); the state itself has arrived already. */
export function onSnapshot(raft: RoleContext, message: SnapshotMessage): void {
  follow(raft, message);
  const { log } = raft;
  if (message.index > log.commit) {
    if (log.matches(message.index, message.indexTerm)) {
      log.commitTo(message.index);
    } else {
      raft.reset(message.index, message.indexTerm, message.configuration);
    }
  }
  acknowledge(raft, message.from, log.commit);
}

function acknowledge(raft: RoleContext, to: number, index: LogIndex): void {
  raft.sendDurable({
    type: 'appendResponse',
    to,
    rejected: false,
    index,
    hintIndex: 0,
    hintTerm: 0,
  });
}

function reject(raft: RoleContext, { from, prevIndex, prevTerm }: AppendMessage): void {
  const { log } = raft;
  const hintIndex = log.lastWithTermUpTo(Math.min(prevIndex, log.last), prevTerm);
  raft.send({
    type: 'appendResponse',
    to: from,
    rejected: true,
    index: prevIndex,
    hintIndex,
    hintTerm: log.termAt(hintIndex) ?? 0,
  });
}
