import { VarlogError } from '../../base/index.ts';
import { FencedLogStream, type FenceRequest, FenceResponse } from '../../wire/gen/log.ts';
import type { RepositoryAccess } from './repository-access.ts';

/**
 * Serves `Ordering.Fence`: gives log streams a token, and says how they were after that. Epochs that begin later than
 * those have the token from their beginning.
 */
export async function serveFence(
  repository: RepositoryAccess,
  { topicId, logStreamId, token }: FenceRequest,
): Promise<FenceResponse> {
  const command = { kind: 'fence', topicId, logStreamId, token } as const;
  await repository.execute(command, { sender: 'client' });
  const logStreams = await repository.read(({ topics, logStreams: all, storageNodes }) =>
    topics
      .get(topicId)
      ?.logStreams.filter((it) => logStreamId === 0 || it === logStreamId)
      .map((id) => {
        const { epoch, sealed, members } = all.get(id)!;
        const primary = storageNodes.get(members[0]!)?.address ?? '';
        return FencedLogStream.create({ logStreamId: id, epoch, sealed, primary });
      }),
  );
  if (logStreams === undefined) {
    throw new VarlogError('TOPIC_NOT_FOUND', { what: `topic ${topicId} was removed meanwhile` });
  }
  return FenceResponse.create({ logStreams });
}
