import type { CallContext, MessageStream } from '../../base/index.ts';
import { Batch, type ReadRequest, ReadResponse } from '../../wire/gen/log.ts';
import { type CommittedBatch, CommittedReader } from './committed-reader.ts';
import { type LogStreamReplica, transferCost } from './replica.ts';
import { assertNotTrimmed } from './serve.ts';

/** Serves `LogStreams.Read`: committed batches as they are stored, then those that come. */
export async function serveRead(
  replica: LogStreamReplica,
  { fromGlsn, toGlsn }: ReadRequest,
  stream: MessageStream<ReadResponse, never>,
  { signal }: CallContext,
): Promise<void> {
  const reader = await CommittedReader.atGlsn(replica, fromGlsn);
  const end = toGlsn === 0 ? Number.POSITIVE_INFINITY : toGlsn;
  let lastSent = -1;
  let sent = 0;
  while (!signal.aborted) {
    const { version } = replica.core;
    // Read before the batches: what is committed while they are read is not covered by it.
    const { watermark } = replica;
    if (sent === 0) assertNotTrimmed(replica, fromGlsn);
    const batches = await reader.next();
    const wanted = batches.filter((it) => it.glsn <= end);
    if (wanted.length > 0 || watermark > lastSent) {
      const cost = transferCost(wanted.map(({ frame }) => frame.payload));
      const turn = replica.host.transfers.take(cost);
      if (turn !== undefined) await turn;
      const highWatermark = batches.length > 0 ? 0 : watermark;
      const room = stream.send(
        ReadResponse.create({ batches: wanted.map(toBatch), highWatermark }),
      );
      if (batches.length === 0) lastSent = watermark;
      sent += wanted.length;
      if (!room) await stream.writable();
    }
    const last = batches.at(-1);
    if (last !== undefined && last.glsn + last.frame.count > end) return;
    if (batches.length > 0) continue;
    if (watermark >= end) return;
    const moved = replica.watermark !== watermark || replica.core.version !== version;
    if (!moved) await replica.committed.wait(signal);
  }
}

function toBatch({ frame, glsn }: CommittedBatch): Batch {
  return Batch.create({
    llsn: frame.position,
    glsn,
    count: frame.count,
    records: frame.payload,
    timestamp: frame.timestamp ?? 0,
  });
}
