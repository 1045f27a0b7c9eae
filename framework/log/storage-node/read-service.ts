import { type CallContext, type MessageStream, onAbort } from '../../base/index.ts';
import { Batch, type ReadRequest, ReadResponse } from '../../wire/gen/log.ts';
import { type CommittedBatch, CommittedReader } from './committed-reader.ts';
import { type LogStreamReplica, transferCost } from './replica.ts';
import { assertNotTrimmed } from './serve.ts';

/**
 * Who follows is told the watermark without records again after so long. It moves with each record of the topic, and all
 * readers of all its other log streams would hear of that one. It is less than a reader waits for a record that is missing.
 */
const WATERMARK_EVERY_MS = 500;

/** Serves `LogStreams.Read`: committed batches as they are stored, then those that come. */
export async function serveRead(
  replica: LogStreamReplica,
  { fromGlsn, toGlsn }: ReadRequest,
  stream: MessageStream<ReadResponse, never>,
  { signal }: CallContext,
): Promise<void> {
  const reader = await CommittedReader.atGlsn(replica, fromGlsn);
  const end = toGlsn === 0 ? Number.POSITIVE_INFINITY : toGlsn;
  const { clock } = replica.host.ports;
  let lastSent = -1;
  let sent = 0;
  /** When the watermark may be told without records. */
  let due = 0;
  while (!signal.aborted) {
    const { version } = replica.core;
    // Read before the batches: what is committed while they are read is not covered by it.
    const { watermark } = replica;
    if (sent === 0) assertNotTrimmed(replica, fromGlsn);
    const batches = await reader.next();
    const wanted = batches.filter((it) => it.glsn <= end);
    const now = clock.now();
    const isAlone = batches.length === 0 && watermark > lastSent && now >= due;
    if (wanted.length > 0 || isAlone) {
      const cost = transferCost(wanted.map(({ frame }) => frame.payload));
      const turn = replica.host.transfers.take(cost);
      if (turn !== undefined) await turn;
      const highWatermark = isAlone ? watermark : 0;
      const room = stream.send(
        ReadResponse.create({ batches: wanted.map(toBatch), highWatermark }),
      );
      if (isAlone) {
        lastSent = watermark;
        if (toGlsn === 0) due = now + WATERMARK_EVERY_MS;
      }
      sent += wanted.length;
      if (!room) await stream.writable();
    }
    const last = batches.at(-1);
    if (last !== undefined && last.glsn + last.frame.count > end) return;
    if (batches.length > 0) continue;
    if (watermark >= end) return;
    if (replica.core.version !== version) continue;
    if (now < due) await committedWithin(replica, due - now, signal);
    else if (replica.watermark === watermark) await replica.progressed.wait(signal);
  }
}

/** Resolves when there may be records to read, after `ms`, or when `signal` is aborted. */
async function committedWithin(
  replica: LogStreamReplica,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const limit = new AbortController();
  const timer = replica.host.ports.clock.after(ms, () => limit.abort());
  const forget = onAbort(signal, () => limit.abort());
  await replica.committed.wait(limit.signal);
  timer.cancel();
  forget();
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
