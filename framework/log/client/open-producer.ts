import { checkNames, isWhole, shown, type TopicId, VarlogError } from '../../base/index.ts';
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
  checkNames(options, PRODUCER_NAMES, 'producer');
  const { id, ...limits } = options;
  if (!isWhole(id, 0, Number.MAX_SAFE_INTEGER)) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `${shown(id)} is not the id of a producer: it must be a whole number from 0, below 2^53`,
      next: 'choose a number that stays the same over restarts',
      outcome: 'notAppended',
    });
  }
  const request = OpenProducerRequest.create({ topicId, producer: id });
  const what = `opening producer ${id} of topic ${topicId}`;
  const { repository } = context;
  const opened = await repository.call(Ordering.OpenProducer, request, { ...limits, what });
  const { epoch, logStreamId: logStream } = opened;
  return new TopicProducer({ topic: topicId, id, epoch, logStream }, context, codec);
}
