import { type SeekRequest, SeekResponse } from '../../wire/gen/log.ts';
import type { LogStreamReplica } from './replica.ts';
import { unavailable } from './replica-errors.ts';
import { assertServes } from './serve.ts';

/** Serves `LogStreams.Seek`: where the records of a log stream begin that were taken at a time or later. */
export async function serveSeek(
  replica: LogStreamReplica,
  { timestamp }: SeekRequest,
): Promise<SeekResponse> {
  assertServes(replica);
  // Taken before the search, and in this order: what it vouches for is among what is searched.
  const { watermark } = replica;
  const { committedEnd } = replica.core;
  const frame = await replica.source.firstSince(timestamp, committedEnd);
  assertServes(replica);
  if (frame === undefined) return SeekResponse.create({ highWatermark: watermark });
  const commit = await replica.reading(() => replica.storage.commits.findByLlsn(frame.position));
  assertServes(replica);
  if (commit === undefined) {
    const { host, logStreamId } = replica;
    throw unavailable(logStreamId, host.storageNodeId, 'its records were trimmed meanwhile');
  }
  // Of a batch or a commit, the beginning may have been trimmed.
  const glsn = Math.max(commit.glsn + frame.position - commit.llsn, replica.head.trimmed + 1);
  return SeekResponse.create({ glsn, highWatermark: watermark });
}
