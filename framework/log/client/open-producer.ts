import {
  checkLimits,
  checkNames,
  isWhole,
  shown,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import { OpenProducerRequest, Ordering } from '../../wire/gen/log.ts';
import type { CallLimits } from './call-limit.ts';
import type { ClientContext } from './client-context.ts';
import { PRODUCER_NAMES } from './option-names.ts';
import { TopicProducer } from './producer.ts';
import type { RecordCodec } from './record-codec.ts';

/** Does what {@link Topic.producer} says. */
export async function openProducer<In>(
  context: ClientContext,
  topicId: TopicId,
  codec: RecordCodec<unknown, In>,
  options: CallLimits & { id: number },
): Promise<TopicProducer<In>> {
  const { id, ...limits } = checkedProducer(options);
  const request = OpenProducerRequest.create({ topicId, producer: id });
  const what = `opening producer ${id} of topic ${topicId}`;
  const { repository } = context;
  const opened = await repository.call(Ordering.OpenProducer, request, { ...limits, what });
  const { epoch, logStreamId: logStream } = opened;
  return new TopicProducer({ topic: topicId, id, epoch, logStream }, context, codec);
}

/** Throws `INVALID_ARGUMENT` for what is not asked for a producer. */
export function checkedProducer<Options extends CallLimits & { id: number }>(
  options: Options,
): Options {
  checkNames<CallLimits & { id: number }>(options, PRODUCER_NAMES, 'producer');
  checkLimits(options);
  if (isWhole(options.id, 0, Number.MAX_SAFE_INTEGER)) return options;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the id of a producer is ${shown(options.id)}: it must be a whole number from 0, below 2^53`,
    next: 'choose a number that stays the same over restarts',
    outcome: 'notAppended',
  });
}
