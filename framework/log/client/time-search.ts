import { type LogStreamId, type Ports, type TopicId, VarlogError } from '../../base/index.ts';
import { LogStreams, SeekRequest } from '../../wire/gen/log.ts';
import type { Catalog } from './catalog.ts';
import type { ClientChannels } from './client-channels.ts';
import type { EntryBatch } from './entry.ts';
import { CORRUPT_TRIES, type Extent, isFinal } from './merged-reader.ts';
import type { PassedOver } from './passed-over.ts';
import { ReplicaTurns } from './replica-turns.ts';

/** A search reads a file of records once at the most. */
const SEEK_TIMEOUT_MS = 5_000;
const PAUSE_MS = { first: 50, most: 2_000 };

interface Searched {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly channels: ClientChannels;
  readonly catalog: Catalog;
  readonly topicId: TopicId;
}

/** Where the records of a topic begin that were taken at a time or later: in each log stream at a place of its own. */
export class TimeStart {
  /** The first of these records in the order of the topic. */
  readonly from: number;
  private readonly begins: ReadonlyMap<LogStreamId, number>;

  constructor(begins: ReadonlyMap<LogStreamId, number>, otherwise: number) {
    this.begins = begins;
    this.from = Math.min(otherwise, ...begins.values());
  }

  /** The batches without what their log streams hold before that; notes the positions that are left out. */
  keep(batches: readonly EntryBatch[], passedOver: PassedOver): EntryBatch[] {
    const kept: EntryBatch[] = [];
    for (const batch of batches) {
      const begin = this.begins.get(batch.logStream) ?? 0;
      if (batch.glsn >= begin) kept.push(batch);
      else passedOver.add(batch.glsn, batch.lastGlsn);
    }
    return kept;
  }
}

/**
 * Asks each log stream for its first record with timestamp `time` or later. One that has none begins after `extent.last`,
 * and none before `extent.first`. Waits for log streams that do not answer, which it tells to `onFailure`. Rejects with
 * `UNIMPLEMENTED` where a storage node is too old to search, with what no later try would mend, and with `signal.reason`.
 */
export async function searchTime(
  source: Searched,
  time: number,
  extent: Extent,
  options: { signal: AbortSignal; onFailure: (attempt: number, error: unknown) => void },
): Promise<TimeStart> {
  const { catalog, topicId } = source;
  // One that was added lately may hold records, too.
  await catalog.renew(options);
  const { logStreams } = await catalog.topic(topicId, options);
  const begins = await Promise.all(
    logStreams.map(async ({ id }): Promise<[LogStreamId, number]> => {
      const found = await searchLogStream(source, id, time, extent.last, options);
      // What comes while it is searched for is given in any case: nobody relies on clocks to the millisecond.
      return [id, Math.max(extent.first, Math.min(found, extent.last + 1))];
    }),
  );
  return new TimeStart(new Map(begins), extent.last + 1);
}

/** The GLSN of the first record since `time`, beyond `last` when there is none. */
async function searchLogStream(
  source: Searched,
  logStreamId: LogStreamId,
  time: number,
  last: number,
  {
    signal,
    onFailure,
  }: { signal: AbortSignal; onFailure: (attempt: number, error: unknown) => void },
): Promise<number> {
  const { channels, catalog, topicId } = source;
  const turns = new ReplicaTurns(source, PAUSE_MS);
  const request = SeekRequest.create({ topicId, logStreamId, timestamp: time });
  let damaged = 0;
  for (;;) {
    const located = catalog.logStream(logStreamId);
    // It was removed, with its records.
    if (located === undefined) return last + 1;
    const { addresses } = located;
    const [address] = turns.next(addresses, 1);
    try {
      if (address === undefined) throw behind(logStreamId, 'is on no storage node that is known');
      const limits = { signal, timeoutMs: SEEK_TIMEOUT_MS };
      const answer = await channels.to(address).call(LogStreams.Seek, request, limits);
      if (answer.glsn > 0) return answer.glsn;
      if (answer.highWatermark >= last) return last + 1;
      throw behind(logStreamId, 'is behind at the storage node that was asked');
    } catch (error) {
      signal.throwIfAborted();
      if (VarlogError.is(error, 'UNIMPLEMENTED')) throw tooOld(address, error);
      damaged = VarlogError.is(error, 'CORRUPT') ? damaged + 1 : 0;
      const isFinalHere = isFinal(error) && !VarlogError.is(error, 'CLUSTER_MISMATCH');
      if (isFinalHere || damaged > CORRUPT_TRIES) throw error;
      onFailure(turns.failures + 1, error);
    }
    await turns.failed(addresses.length, signal);
  }
}

function behind(logStreamId: LogStreamId, what: string): VarlogError {
  return new VarlogError('UNAVAILABLE', { what: `log stream ${logStreamId} ${what}` });
}

function tooOld(address: string | undefined, cause: VarlogError): VarlogError {
  return new VarlogError('UNIMPLEMENTED', {
    what: `the storage node at ${address} cannot look for a time`,
    because: 'it runs an older version',
    next: 'upgrade it, or begin at a GLSN',
    cause,
  });
}
