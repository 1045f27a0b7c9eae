import { type LogStreamId, type Ports, type TopicId, VarlogError } from '../../base/index.ts';
import { ExtentRequest, LogStreams } from '../../wire/gen/log.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, type StepLimits, withinLimits } from './call-limit.ts';
import type { Catalog, LocatedTopic } from './catalog.ts';
import type { ClientChannels } from './client-channels.ts';
import { hedged } from './hedged.ts';
import { type Extent, isFinal } from './merged-reader.ts';
import { ReplicaTurns } from './replica-turns.ts';

const PAUSE_MS = { first: 20, most: 500 };

interface Asked {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly channels: ClientChannels;
  readonly catalog: Catalog;
  readonly topicId: TopicId;
  /** As the metadata repository knows it. */
  extent(limits: CallLimits): Promise<Extent>;
  /** Aborted when the client is closed. */
  readonly lifetime: AbortSignal;
}

/**
 * Where a topic begins and ends as some replica knows it, which has come to position `atLeast`. Asks one replica after
 * the other, any of any log stream, and a second one beside it where it does not answer soon; the metadata repository
 * is not asked. Rejects with `TIMEOUT` (after 10,000 ms unless said otherwise), `TOPIC_NOT_FOUND`, or `signal.reason`.
 */
export function replicaExtent(source: Asked, atLeast: number, limits: CallLimits): Promise<Extent> {
  const { ports, lifetime, topicId } = source;
  const what = `waiting for a replica of topic ${topicId} that has come to position ${atLeast}`;
  const given = { timeoutMs: LOG_TIMES.callTimeoutMs, ...limits, what, lifetime };
  return withinLimits(ports.clock, given, (own) => askInTurn(source, atLeast, own));
}

async function askInTurn(source: Asked, atLeast: number, own: StepLimits): Promise<Extent> {
  const { catalog, topicId } = source;
  const { signal } = own;
  const turns = new ReplicaTurns(source, PAUSE_MS);
  for (;;) {
    const places = placesOf(await catalog.topic(topicId, own));
    try {
      const found = await askSome(source, turns.next(places, 2), atLeast, own);
      if (found.last >= atLeast) return found;
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error) && !VarlogError.is(error, 'CLUSTER_MISMATCH')) throw error;
    }
    await turns.failed(places.length, signal);
  }
}

interface Place {
  readonly logStreamId: LogStreamId;
  readonly address: string;
}

function placesOf({ logStreams }: LocatedTopic): Place[] {
  return logStreams.flatMap(({ id: logStreamId, addresses }) =>
    addresses.map((address) => ({ logStreamId, address })),
  );
}

async function askSome(
  { ports, channels, topicId, extent }: Asked,
  places: readonly Place[],
  atLeast: number,
  own: StepLimits,
): Promise<Extent> {
  if (places.length === 0) return extent(own);
  const asks = places.map(({ address, logStreamId }) => (signal: AbortSignal) => {
    const request = ExtentRequest.create({ topicId, logStreamId, atLeast });
    const limits = { signal, timeoutMs: LOG_TIMES.tryTimeoutMs };
    return channels.to(address).call(LogStreams.Extent, request, limits);
  });
  try {
    const { answer } = await hedged(ports.clock, own.signal, LOG_TIMES.hedgeAfterMs, asks);
    return { first: Math.max(1, answer.firstGlsn), last: answer.highWatermark };
  } catch (error) {
    // A node of an older version does not know the question. What the metadata repository says is fresher still.
    if (VarlogError.is(error, 'UNIMPLEMENTED')) return extent(own);
    throw error;
  }
}
