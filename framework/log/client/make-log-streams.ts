import { Lanes, type LogStreamId, type TopicId, VarlogError } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import type { CallLimits } from './call-limit.ts';
import { checkWhole } from './checked-option.ts';
import type { ClientContext } from './client-context.ts';

/** Log streams that are made at once: each waits for disks most of the time. */
const MADE_AT_ONCE = 32;

/** How log streams are made. */
export interface LogStreamOptions extends CallLimits {
  /** Replicas of each; without, as many as the cluster makes. */
  readonly replicationFactor?: number;
}

/**
 * Makes a log stream, and resolves when it takes appends. The cluster waits for that only some seconds: one that is made, and
 * opens later, is waited for as long as the caller does. Rejects with `TIMEOUT` then, and says which one it is.
 */
export async function makeLogStream(
  context: ClientContext,
  topicId: TopicId,
  { replicationFactor, ...limits }: LogStreamOptions,
): Promise<LogStreamId> {
  if (replicationFactor !== undefined) checkWhole(replicationFactor, 'replicationFactor');
  const request = admpb.AddLogStreamRequest.create({
    topicId,
    ...(replicationFactor !== undefined && { replicationFactor }),
  });
  const plan = { what: `adding a log stream to topic ${topicId}`, idempotent: false };
  const { AddLogStream } = admpb.ClusterManager;
  try {
    const answer = await context.repository.call(AddLogStream, request, { ...limits, ...plan });
    return answer.logStream!.logStreamId;
  } catch (error) {
    const late = notOpenYet(error);
    if (late === undefined) throw error;
    return untilOpen(context, topicId, late, limits);
  }
}

async function untilOpen(
  { repository }: ClientContext,
  topicId: TopicId,
  late: NotOpenYet,
  limits: CallLimits,
): Promise<LogStreamId> {
  const { logStreamId } = late;
  const request = admpb.UnsealRequest.create({ topicId, logStreamId });
  const plan = { ...limits, what: `opening log stream ${logStreamId}` };
  for (let last = late; ; ) {
    try {
      // There is nothing to unseal: what it does is to wait.
      await repository.call(admpb.ClusterManager.Unseal, request, plan);
      return logStreamId;
    } catch (error) {
      const again = notOpenYet(error);
      if (again === undefined) throw VarlogError.is(error, 'TIMEOUT') ? last.error : error;
      last = again;
    }
  }
}

/** What the cluster says of a log stream that is there, and takes no appends yet. */
interface NotOpenYet {
  readonly logStreamId: LogStreamId;
  readonly error: VarlogError;
}

function notOpenYet(error: unknown): NotOpenYet | undefined {
  for (let it = error; VarlogError.is(it); it = it.cause) {
    const { logStreamId } = it.details;
    if (it.code === 'TIMEOUT' && typeof logStreamId === 'number') {
      return { logStreamId: logStreamId as LogStreamId, error: it };
    }
  }
  return undefined;
}

/** Makes many, side by side. Rejects as one that cannot be made, when none of the others is under way any more. */
export async function makeLogStreams(
  context: ClientContext,
  topicId: TopicId,
  count: number,
  options: LogStreamOptions,
): Promise<void> {
  const lanes = new Lanes<number>(MADE_AT_ONCE);
  let failed = false;
  const make = async (): Promise<void> => {
    if (failed) return;
    try {
      await makeLogStream(context, topicId, options);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const made = Array.from({ length: count }, (_, i) => lanes.run(i, make));
  for (const it of await Promise.allSettled(made)) if (it.status === 'rejected') throw it.reason;
}
