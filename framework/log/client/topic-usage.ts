import type { LogStreamId } from '../../base/index.ts';
import { HoldsRequest, LogStreams, Ordering, UsageRequest } from '../../wire/gen/log.ts';
import {
  bytesBehind,
  expiredUpTo,
  isLimited,
  type Retention,
  type StoredLogStream,
} from '../core/index.ts';
import { retentionOfWire } from '../retention-codec.ts';
import type { CallLimits } from './call-limit.ts';
import type { LocatedLogStream } from './catalog.ts';
import type { ClientContext } from './client-context.ts';

/** A replica that has not answered by then is passed over. */
const REPLICA_TIMEOUT_MS = 2_000;

/** How many bytes of a topic are kept, and by whom. Bytes count once, however many replicas have them. */
export interface TopicUsage {
  /** The first GLSN that was not trimmed, and the last one there is (0: none). */
  readonly first: number;
  readonly last: number;
  /** About how many bytes the records from `first` to `last` have on the disk of one replica each. */
  readonly bytes: number;
  /** Log streams of which no replica answers: their bytes are missing. */
  readonly unknown: readonly number[];
  readonly retention: Retention;
  /**
   * The last GLSN that the retention does not keep; where it is not 0 and nobody holds it, the leader has it trimmed
   * within some seconds.
   */
  readonly expired: number;
  /** Who keeps records, whoever keeps most first. */
  readonly keepers: readonly TopicKeeper[];
}

/** Someone because of whom records are kept: those after `position`. */
export interface TopicKeeper {
  /**
   * A hold that somebody placed by name; a consumer, which needs what it has not done; or the retention, where the topic
   * has one.
   */
  readonly kind: 'hold' | 'consumer' | 'retention';
  /** Name of the holder or of the consumer; empty for the retention. */
  readonly holder: string;
  readonly position: number;
  /** About how many bytes lie after it. */
  readonly bytes: number;
  /** Of those, about how many only this one keeps: so much would be free without it. */
  readonly alone: number;
}

/** The fencing token of one log stream. */
export interface LogStreamFence {
  readonly logStream: LogStreamId;
  readonly token: number;
}

/** Somebody for whom the records after `position` are kept. */
interface HeldFor {
  readonly holder: string;
  readonly position: number;
  readonly isConsumer?: true;
}

/** Asks who holds records of a topic, how much of it is to be kept, and by which tokens it is fenced. */
export async function askKeepers(
  { repository }: ClientContext,
  topicId: number,
  limits: CallLimits,
): Promise<{
  holds: HeldFor[];
  retention: Retention;
  fence: number;
  fences: LogStreamFence[];
}> {
  const request = HoldsRequest.create({ topicId });
  const what = `asking who holds records of topic ${topicId}`;
  const found = await repository.call(Ordering.Holds, request, { ...limits, what });
  return {
    holds: found.holds.map(({ holder, position, consumer }) => {
      return consumer ? { holder, position, isConsumer: true } : { holder, position };
    }),
    retention: retentionOfWire(found),
    fence: found.fence,
    fences: found.fences
      .filter((it) => it.token !== found.fence)
      .map(({ logStreamId, token }) => ({ logStream: logStreamId, token })),
  };
}

/** Does what {@link Topic.usage} says. */
export async function topicUsage(
  context: ClientContext,
  topicId: number,
  extent: () => Promise<{ readonly first: number; readonly last: number }>,
  limits: CallLimits,
): Promise<TopicUsage> {
  const { catalog } = context;
  await catalog.renew(limits);
  const { logStreams } = await catalog.topic(topicId, limits);
  const [known, kept, stored] = await Promise.all([
    extent(),
    askKeepers(context, topicId, limits),
    askUsage(context, topicId, logStreams, limits),
  ]);
  return describeUsage(known, kept, logStreams, stored);
}

/** What replicas of the log streams store; `undefined` where none answers. */
function askUsage(
  { channels }: ClientContext,
  topicId: number,
  logStreams: readonly LocatedLogStream[],
  { signal }: CallLimits,
): Promise<(StoredLogStream | undefined)[]> {
  return Promise.all(
    logStreams.map(async ({ id, addresses }) => {
      const request = UsageRequest.create({ topicId, logStreamId: id });
      for (const address of addresses) {
        try {
          const timeoutMs = REPLICA_TIMEOUT_MS;
          const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
          return await channels.to(address).call(LogStreams.Usage, request, options);
        } catch {
          signal?.throwIfAborted();
        }
      }
      return undefined;
    }),
  );
}

/** Puts together who keeps how much. */
function describeUsage(
  extent: { readonly first: number; readonly last: number },
  kept: { readonly holds: readonly HeldFor[]; retention: Retention },
  logStreams: readonly { readonly id: number }[],
  stored: readonly (StoredLogStream | undefined)[],
): TopicUsage {
  const { first, last } = extent;
  const known = stored.filter((it) => it !== undefined);
  const bytesAfter = (position: number): number =>
    bytesBehind(Math.max(position, first - 1), known, last);
  const { retention, holds } = kept;
  const limited = isLimited(retention);
  const expired = limited ? expiredUpTo(retention, stored) : 0;
  const keepers = [
    ...holds.map(({ holder, position, isConsumer }) => {
      return { kind: isConsumer ? ('consumer' as const) : ('hold' as const), holder, position };
    }),
    ...(limited
      ? [{ kind: 'retention' as const, holder: '', position: Math.max(expired, first - 1) }]
      : []),
  ].sort((a, b) => a.position - b.position);
  const next = keepers[1]?.position ?? last;
  return {
    first,
    last,
    bytes: bytesAfter(first - 1),
    unknown: logStreams.filter((_, i) => stored[i] === undefined).map(({ id }) => id),
    retention,
    expired,
    keepers: keepers.map((it, i) => {
      const bytes = bytesAfter(it.position);
      return { ...it, bytes, alone: i === 0 ? Math.max(0, bytes - bytesAfter(next)) : 0 };
    }),
  };
}
