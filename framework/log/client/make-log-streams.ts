import { Lanes, type LogStreamId, type TopicId } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import type { CallLimits } from './call-limit.ts';
import { checkWhole } from './checked-option.ts';
import type { ClientContext } from './client-context.ts';

/** Log streams that are made at once: each waits for disks most of the time. With more, one on a slow disk is not open in time. */
const MADE_AT_ONCE = 32;

/** How log streams are made. */
export interface LogStreamOptions extends CallLimits {
  /** Replicas of each; without, as many as the cluster makes. */
  readonly replicationFactor?: number;
}

/** Makes a log stream, and resolves when it takes appends. */
export async function makeLogStream(
  { repository }: ClientContext,
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
  const { logStream } = await repository.call(AddLogStream, request, { ...limits, ...plan });
  return logStream!.logStreamId;
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
