import type {
  ClusterStatus,
  ConsumerDescription,
  LogStreamReplicaStatus,
  LogStreamStatus,
  MemberStatus,
  StorageNodeStatus,
} from '../../log/index.ts';

/** A write or sync that takes so long is not well, whatever the disk. */
export const SLOW_WRITE_MS = 1_000;

/** One thing that is not as it should be in a cluster. */
export interface Problem {
  /** Which part of the cluster: stays the same while the problem lasts, and has no other. */
  readonly subject: string;
  /** What is wrong with it, and what is being done about it or must be. */
  readonly what: string;
  /** The log stream whose it is. */
  readonly logStream?: number;
}

/** So many log streams with the same problem are told of one by one. */
const ONE_BY_ONE = 5;

/** A problem as one sentence. */
export function sentenceOf({ subject, what }: Problem): string {
  return `${subject}: ${what}`;
}

/**
 * The problems as sentences: where many log streams have the same, as after the restart of a node, one for all of them, with the
 * ids of the first few.
 */
export function sentencesOf(problems: readonly Problem[]): string[] {
  const alike = new Map<string, [Problem, ...Problem[]]>();
  for (const it of problems) {
    const key = sentenceOf({ ...it, subject: restOf(it) });
    const known = alike.get(key);
    if (known === undefined) alike.set(key, [it]);
    else known.push(it);
  }
  return [...alike.values()].flatMap((group) => {
    if (group.length <= ONE_BY_ONE) return group.map(sentenceOf);
    const few = group.slice(0, ONE_BY_ONE).map(({ logStream }) => logStream);
    const [one] = group;
    const subject = `log streams ${few.join(', ')} and ${group.length - ONE_BY_ONE} more${restOf(one)}`;
    return [sentenceOf({ ...one, subject })];
  });
}

/** The subject, without the id of its log stream. */
function restOf({ subject, logStream }: Problem): string {
  return logStream === undefined ? subject : subject.slice(`log stream ${logStream}`.length);
}

/** All that is not as it should be. */
export function problemsOf(status: ClusterStatus): Problem[] {
  const streams = status.topics.flatMap((topic) => topic.logStreams);
  const lacking = streams.filter((it) => !isWholeSomewhere(it));
  return [
    ...problemsOfMembers(status.members),
    ...status.storageNodes.flatMap((it) => ofStorageNode(it, lacking)),
    ...status.storageNodes.flatMap(ofDrain),
    ...problemsOfLogStreams(status),
  ];
}

/** What keeps log streams from being written to and from having all of their copies. */
export function problemsOfLogStreams({ topics, storageNodes }: ClusterStatus): Problem[] {
  const nodes = new Map(storageNodes.map((it) => [it.id, it]));
  return topics
    .flatMap((topic) => topic.logStreams)
    .flatMap((stream) =>
      [
        ...ofLogStream(stream),
        ...stream.replicas.flatMap((it) => ofReplica(stream, it, nodes.get(it.node))),
      ].map((it) => ({ ...it, logStream: stream.id })),
    );
}

/** What a consumer has put aside, if it has: nobody does these records before a person decides. */
export function problemOfParked(
  topic: number,
  { name, parked }: ConsumerDescription,
): Problem | undefined {
  const waiting = parked.filter(({ replay }) => !replay);
  if (waiting.length === 0) return undefined;
  const oldest = waiting.reduce((a, b) => (b.at < a.at ? b : a));
  const many = waiting.length === 1 ? '1 parked record' : `${waiting.length} parked records`;
  const since = new Date(oldest.at).toISOString();
  const cause = oldest.cause.replaceAll(/\s+/g, ' ');
  const quoted = `'${name.replaceAll("'", `'\\''`)}'`;
  return {
    subject: `consumer "${name}" of topic ${topic}`,
    what: `has ${many}, record ${oldest.glsn} since ${since} (${cause}): mend the cause, then run "varlog consumer replay ${topic} ${quoted} --all"`,
  };
}

/** What is wrong with members, and changes of them that were begun. */
function problemsOfMembers(members: readonly MemberStatus[]): Problem[] {
  const changes = members.flatMap(({ change }) => change ?? []);
  return [
    ...changes.map((what) => ({ subject: 'the members of the metadata repository', what })),
    ...members.flatMap((it) => ofMember(it, changes.length > 0)),
  ];
}

function ofMember(
  { id, address, state, trouble, votes }: MemberStatus,
  isChanging: boolean,
): Problem[] {
  const subject = `metadata repository member ${id} at ${address}`;
  if (state === 'CLUSTER_MISMATCH' || state === 'IDENTITY_MISMATCH') {
    const what = `what answers there is not this member: ${trouble}`;
    return [{ subject, what }];
  }
  if (state === 'DISK_LOST') {
    const what = `its disk is lost (${trouble}): start a new member with --join, and run "varlog member replace ${id} <new id>=<host:port>"`;
    return [{ subject, what }];
  }
  if (state !== 'up') {
    const why = trouble === undefined ? '' : `: ${trouble}`;
    return [{ subject, what: `not up (${state}): start it, or see its log${why}` }];
  }
  if (trouble !== undefined) return [{ subject, what: trouble }];
  if (votes || isChanging) return [];
  const what = `receives the log and does not vote, because it was not added to the end: run "varlog member add ${id}=${address}", or "varlog member remove ${id}"`;
  return [{ subject, what }];
}

/** `lacking`: the log streams of which no copy that is up is whole. */
function ofStorageNode(node: StorageNodeStatus, lacking: readonly LogStreamStatus[]): Problem[] {
  const { id, address, alive, refusal, unreached, slowestWriteMs = 0 } = node;
  const subject = `storage node ${id} at ${address}`;
  if (!alive && refusal !== undefined) return [{ subject, what: `refused: ${refusal}` }];
  if (!alive && unreached !== undefined) {
    const what = `down, and something else answers at its address (${unreached}): start it there, or with another --advertise`;
    return [{ subject, what }];
  }
  if (!alive) {
    const needs = lacking.find(({ replicas }) => replicas.some((it) => it.node === id));
    if (needs !== undefined) {
      const what = `down: start it with its folder, which may have the only whole copy of log stream ${needs.id}`;
      return [{ subject, what }];
    }
    const what = `down: start it, or run "varlog node replace ${id}" when its disk is lost`;
    return [{ subject, what }];
  }
  if (unreached !== undefined) {
    // Why may also lie with who asks: a token that it does not know, a network that others do not share.
    const what = `linked to the leader, and did not answer here (${unreached}): if others do not reach it either, start it with the address that they reach it at, as --advertise`;
    return [{ subject, what }];
  }
  if (slowestWriteMs < SLOW_WRITE_MS) return [];
  const long = (slowestWriteMs / 1_000).toFixed(1);
  const what = `its disk took ${long} s for a write, and every append waits for such: look for what else uses the disk, or move the node to another one`;
  return [{ subject, what }];
}

/** What keeps a drain from getting on. */
function ofDrain({ id, drain, replicas, waits }: StorageNodeStatus): Problem[] {
  if (drain !== 'draining' || waits.length === 0) return [];
  const what = `has ${replicas} replicas left: ${waits.join('; ')}`;
  return [{ subject: `the drain of storage node ${id}`, what }];
}

function ofLogStream(stream: LogStreamStatus): Problem[] {
  const { id, state, sealedByOperator, inSync, replicas, replicationFactor } = stream;
  const subject = `log stream ${id}`;
  if (sealedByOperator)
    return [{ subject, what: 'sealed by an operator: unseal it to append to it' }];
  if (state === 'open' && replicas.length < replicationFactor) {
    const what = `has ${replicas.length} of ${replicationFactor} replicas: start more storage nodes, and it gets them`;
    return [{ subject, what }];
  }
  if (state === 'open') return [];
  if (replicas.length > 0 && replicas.every((it) => it.state === 'damaged')) {
    const what =
      'takes no appends and cannot be read, because every copy of it is damaged: bring back the folder of one of them and start that node again; without one its records are lost, but for those that a backup has';
    return [{ subject, what }];
  }
  // One that failed is opened again, and may be whole.
  const mayComeBack = isWholeSomewhere(stream) || replicas.some((it) => it.state === 'failed');
  if (!mayComeBack) return [{ subject, what: whyLacking(stream) }];
  const copies = `${inSync} of ${replicationFactor} copies are whole`;
  const what = `takes no appends, ${copies}: it opens again by itself when enough of them are`;
  return [{ subject, what }];
}

/** Whether a copy that is up has all that was ordered, or the leader has yet to hear of one. */
function isWholeSomewhere({ replicas }: LogStreamStatus): boolean {
  return replicas.some(
    (it) => it.target === 0 || it.state === 'unknown' || (it.behind === 0 && !isOut(it)),
  );
}

/** It serves nothing. */
function isOut({ state }: LogStreamReplicaStatus): boolean {
  return ['unreachable', 'failed', 'damaged'].includes(state);
}

/** What is missing of a log stream of which no copy that is up is whole, and who may have it. */
function whyLacking({ replicas }: LogStreamStatus): string {
  const up = replicas.filter((it) => !isOut(it));
  const lacks =
    up.length === 0
      ? 'and none of its copies is up'
      : `and no copy that is up has its last ${Math.min(...up.map((it) => it.behind))} records`;
  const down = replicas.filter((it) => it.state === 'unreachable').map((it) => it.node);
  const which = down.length === 1 ? `storage node ${down[0]}` : `storage nodes ${down.join(', ')}`;
  const next =
    down.length === 0
      ? 'bring back the folder of a storage node that had them; without one they are lost'
      : `start ${which} with the folder that it had; records that only that has would be lost by replacing it`;
  return `takes no appends, ${lacks}: ${next}`;
}

function ofReplica(
  stream: LogStreamStatus,
  replica: LogStreamReplicaStatus,
  node: StorageNodeStatus | undefined,
): Problem[] {
  // What leaves is not to be whole, and what comes in its place is not missed yet.
  const isMoved = stream.inSync >= stream.replicationFactor && replica.move !== undefined;
  const whole = isMoved || (replica.member && replica.state === stream.state);
  const found = [
    ...(replica.full
      ? [
          'its disk is full, or a limit of its process is reached: free space or trim the topic, or raise the limit of open files (ulimit -n) or of the size of a file (ulimit -f); it goes on by itself',
        ]
      : []),
    ...(whole ? [] : [whyNotWhole(replica, stream, node?.address ?? 'an unknown address')]),
  ];
  if (found.length === 0) return [];
  const subject = `log stream ${stream.id} on storage node ${replica.node}`;
  return [{ subject, what: found.join('; ') }];
}

function whyNotWhole(
  replica: LogStreamReplicaStatus,
  stream: LogStreamStatus,
  address: string,
): string {
  const { node, state, behind, failure, end, target } = replica;
  const why = failure === undefined ? '' : ` (${failure})`;
  // Whoever is to give it what it lacks must have it.
  const hasSource = stream.replicas.some((it) => it.node !== node && it.behind === 0 && !isOut(it));
  const isWaiting =
    !hasSource && target > 0 && ['rebuilding', 'learning', 'sealing'].includes(state);
  if (isWaiting && (behind > 0 || stream.replicas.length > 1)) {
    return `has ${end} of ${target} records, and no other copy that is up has all of them${why}`;
  }
  if (isWaiting)
    return `waits to hear how its ${end} records were ordered; if it stays so, see the log of the node at ${address}${why}`;
  switch (state) {
    case 'unreachable':
      if (!isWholeSomewhere(stream))
        return `the node at ${address} does not answer: start it with its folder`;
      return `the node at ${address} does not answer: start it, or run "varlog node replace ${node}" when its disk is lost`;
    case 'rebuilding':
      return `being copied from another replica, has ${end} of ${target} records${why}`;
    case 'learning':
    case 'sealing':
      return `being copied from another replica, ${behind} records to go${why}`;
    case 'damaged':
      return `${state}${why}: it begins anew as soon as a good copy is there; if it stays so, see the log of the node at ${address}`;
    case 'failed':
      return `${state}${why}: it begins anew from a good copy, or is opened again where there is none; if it stays so, see the log of the node at ${address}`;
    default:
      return `${state}${why}: it is taken in again soon`;
  }
}
