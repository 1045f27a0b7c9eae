import { assert, type Epoch, POSITION_LIMIT, type Version } from '../../base/index.ts';
import type { Commit } from './commit-history.ts';
import type { LogStreamState } from './log-stream-state.ts';
import type { TopicState } from './topic-state.ts';

/**
 * How far one log stream is ordered by a cut: an absolute end, not a length, so that a cut applied
 * twice or late does nothing.
 */
export interface CutEntry {
  readonly logStreamId: number;
  readonly epoch: Epoch;
  /** LLSN of the last record that the cut orders. */
  readonly end: number;
  /** All members have the commits up to this version on disk: their history may go. */
  readonly persistedVersion: Version;
}

/** A replica that lags by more commits than this gets them from another replica. */
export const HISTORY_LENGTH_MAX = 10_000;

interface Ordered {
  readonly topics: ReadonlyMap<number, TopicState>;
  readonly logStreams: ReadonlyMap<number, LogStreamState>;
}

/**
 * Orders what a cut names. GLSNs are computed here, where the cut is applied, by summing the
 * advances in the order of topic and log stream ids; never by the proposer (Scalog §4; Delos and the
 * original do the same). An entry of another epoch, of a sealed log stream, or with an end that was
 * reached before has no effect.
 */
export function applyCut(metadata: Ordered, entries: readonly CutEntry[]): Commit[] {
  const commits: Commit[] = [];
  for (const entry of inOrder(metadata, entries)) {
    const stream = metadata.logStreams.get(entry.logStreamId);
    if (stream === undefined) continue;
    if (entry.epoch !== stream.epoch) continue;
    stream.history.forget(entry.persistedVersion);
    if (stream.sealed) continue;
    if (entry.end <= stream.end) continue;
    const topic = metadata.topics.get(stream.topicId)!;
    commits.push(advanceTo(stream, topic, entry));
  }
  return commits;
}

function advanceTo(stream: LogStreamState, topic: TopicState, entry: CutEntry): Commit {
  const count = entry.end - stream.end;
  const commit: Commit = {
    logStreamId: stream.id,
    epoch: stream.epoch,
    version: stream.version + 1,
    llsn: stream.end + 1,
    glsn: topic.highWatermark + 1,
    count,
  };
  assert(topic.highWatermark + count < POSITION_LIMIT, 'a GLSN stays below 2^53');
  topic.highWatermark = commit.glsn + count - 1;
  stream.end = entry.end;
  stream.lastGlsn = topic.highWatermark;
  stream.version = commit.version;
  stream.history.push(commit);
  if (stream.history.length > HISTORY_LENGTH_MAX) {
    stream.history.forget(stream.version - HISTORY_LENGTH_MAX / 2);
  }
  return commit;
}

function inOrder(metadata: Ordered, entries: readonly CutEntry[]): readonly CutEntry[] {
  if (entries.length < 2) return entries;
  const topicOf = (entry: CutEntry): number =>
    metadata.logStreams.get(entry.logStreamId)?.topicId ?? 0;
  return [...entries].sort((a, b) => topicOf(a) - topicOf(b) || a.logStreamId - b.logStreamId);
}
