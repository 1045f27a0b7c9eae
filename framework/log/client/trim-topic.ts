import { checkFlag, checkNames, type TopicId } from '../../base/index.ts';
import { Ordering, TrimRequest } from '../../wire/gen/log.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { type CallLimits, inSteps } from './call-limit.ts';
import type { ClientContext } from './client-context.ts';
import { TRIM_NAMES } from './option-names.ts';
import { checkGlsn } from './position-option.ts';

/** Replicas hear of a trim anyway: what asking them in person may take. */
const REPLICA_TIMEOUT_MS = 1_000;

/** Does what {@link Topic.trim} says. */
export async function trimTopic(
  context: ClientContext,
  topicId: TopicId,
  glsn: number,
  options: CallLimits & { force?: boolean },
): Promise<void> {
  checkNames(options, TRIM_NAMES, 'trim');
  const { force = false, ...limits } = options;
  // The text "false" would be taken for an order to remove what others need.
  checkFlag(force, 'force');
  checkGlsn(glsn, 'glsn');
  const what = `trimming topic ${topicId}`;
  const request = TrimRequest.create({ topicId, glsn, force });
  const { clock } = context.ports;
  await inSteps(clock, { ...limits, what }, async (own) => {
    await context.repository.call(Ordering.Trim, request, { ...own, what });
    // It is trimmed by then.
    await trimReplicas(context, topicId, glsn, own).catch(() => {});
  });
  limits.signal?.throwIfAborted();
}

/** Makes the effect visible at once. Those that do not answer hear of it from the metadata repository. */
async function trimReplicas(
  { catalog, channels }: ClientContext,
  topicId: TopicId,
  glsn: number,
  limits: CallLimits,
): Promise<void> {
  const topic = await catalog.topic(topicId, limits);
  const nodes = new Set(topic.logStreams.flatMap((it) => it.addresses));
  const request = snpb.TrimRequest.create({ topicId, lastGlsn: glsn });
  const timeoutMs = Math.min(limits.timeoutMs ?? Infinity, REPLICA_TIMEOUT_MS);
  await Promise.allSettled(
    [...nodes].map((it) =>
      channels.to(it).call(snpb.Management.Trim, request, { ...limits, timeoutMs }),
    ),
  );
}
