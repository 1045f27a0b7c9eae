import {
  Backoff,
  type LogStreamId,
  type Ports,
  sleep,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import { ExtentRequest, LogStreams } from '../../wire/gen/log.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, withinLimits } from './call-limit.ts';
import type { Catalog, LocatedTopic } from './catalog.ts';
import type { ChannelPool } from './channel-pool.ts';
import { hedged } from './hedged.ts';
import { type Extent, isFinal } from './merged-reader.ts';

const RETRY_FIRST_MS = 20;
const RETRY_LIMIT_MS = 500;

interface Asked {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly channels: ChannelPool;
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
  return withinLimits(ports.clock, given, ({ signal }) => askInTurn(source, atLeast, signal));
}

async function askInTurn(source: Asked, atLeast: number, signal: AbortSignal): Promise<Extent> {
  const { ports, catalog, topicId } = source;
  const backoff = new Backoff(ports.random, RETRY_FIRST_MS, RETRY_LIMIT_MS);
  const begin = ports.random.below(1024);
  for (let turn = 0; ; turn++) {
    const places = placesOf(await catalog.topic(topicId, { signal }));
    try {
      const found = await askTwo(source, places, begin + turn, atLeast, signal);
      if (found.last >= atLeast) return found;
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error) && !VarlogError.is(error, 'CLUSTER_MISMATCH')) throw error;
    }
    // The next replica at once; only when all of them failed, a pause.
    if ((turn + 1) % Math.max(1, places.length) !== 0) continue;
    await sleep(ports.clock, backoff.nextMs(), signal);
    await catalog.renew({ signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
    });
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

async function askTwo(
  { ports, channels, topicId, extent }: Asked,
  places: readonly Place[],
  first: number,
  atLeast: number,
  signal: AbortSignal,
): Promise<Extent> {
  const two = [first, first + 1].slice(0, places.length).map((it) => places[it % places.length]!);
  if (two.length === 0) return extent({ signal });
  const asks = two.map(({ address, logStreamId }) => (own: AbortSignal) => {
    const request = ExtentRequest.create({ topicId, logStreamId, atLeast });
    const limits = { signal: own, timeoutMs: LOG_TIMES.tryTimeoutMs };
    return channels.to(address).call(LogStreams.Extent, request, limits);
  });
  try {
    const { answer } = await hedged(ports.clock, signal, LOG_TIMES.hedgeAfterMs, asks);
    return { first: Math.max(1, answer.firstGlsn), last: answer.highWatermark };
  } catch (error) {
    // A node of an older version does not know the question. What the metadata repository says is fresher still.
    if (VarlogError.is(error, 'UNIMPLEMENTED')) return extent({ signal });
    throw error;
  }
}
