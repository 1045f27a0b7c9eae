import { VarlogError } from '../../base/index.ts';
import {
  ConsumerInfo,
  type ConsumersRequest,
  ConsumersResponse,
  ParkedInfo,
} from '../../wire/gen/log.ts';
import { noTopic } from '../core/index.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** The consumers of a topic, as they are asked for, as of now. */
export function describeConsumers(
  repository: RepositoryAccess,
  { topicId, name, due }: ConsumersRequest,
): Promise<ConsumersResponse> {
  return repository.read(({ topics }) => {
    const topic = topics.get(topicId);
    if (topic === undefined) {
      const { code, what, next } = noTopic(topicId, topics.keys());
      throw new VarlogError(code, { what, next });
    }
    const { consumers, highWatermark, trimmed } = topic;
    const wanted = name === '' ? consumers : consumers.filter((it) => it.name === name);
    return ConsumersResponse.create({
      consumers: wanted.map(({ epoch, began, position, parked, ...it }) =>
        ConsumerInfo.create({
          name: it.name,
          epoch,
          began,
          position,
          parkedCount: parked.length,
          parked: parked
            .filter(({ replay }) => replay || !due)
            .map((record) => ParkedInfo.create({ ...record })),
        }),
      ),
      glsn: highWatermark,
      firstGlsn: trimmed + 1,
    });
  });
}
