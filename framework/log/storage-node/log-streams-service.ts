import { type Handler, handler, VarlogError } from '../../base/index.ts';
import { DescribeReplicaResponse, LogStreams, Replication } from '../../wire/gen/log.ts';
import { serveAppends } from './append-service.ts';
import { serveExtent } from './extent-service.ts';
import { serveFence } from './fence-service.ts';
import { serveFetch } from './fetch-service.ts';
import { serveRead } from './read-service.ts';
import { serveSeek } from './seek-service.ts';
import { assertServes } from './serve.ts';
import type { ServedNode } from './served-node.ts';
import { serveUsage } from './usage-service.ts';

/** The services `varlog.log.LogStreams` and `varlog.log.Replication`. */
export function logStreamHandlers(node: ServedNode): Handler[] {
  return [
    handler(LogStreams.Append, (stream) =>
      serveAppends(
        stream,
        (topic, logStream) => node.find(topic, logStream),
        node.recordLimits,
        node.ports.clock,
      ),
    ),
    handler(LogStreams.Read, async (request, stream, context) => {
      const replica = node.find(request.topicId, request.logStreamId);
      await serveRead(replica, request, stream, context);
    }),
    handler(LogStreams.Usage, async ({ topicId, logStreamId }) =>
      serveUsage(node.find(topicId, logStreamId)),
    ),
    handler(LogStreams.Extent, async (request, context) =>
      serveExtent(node.find(request.topicId, request.logStreamId), request, context),
    ),
    handler(LogStreams.Seek, async (request) =>
      serveSeek(node.find(request.topicId, request.logStreamId), request),
    ),
    handler(LogStreams.Fence, async (request, { signal }) =>
      serveFence(node.find(request.topicId, request.logStreamId), request, signal),
    ),
    handler(Replication.Fetch, async (request, stream, context) => {
      if (request.clusterId !== node.clusterId) {
        throw new VarlogError('CLUSTER_MISMATCH', {
          what: `storage node ${node.storageNodeId} belongs to cluster ${node.clusterId}`,
          next: 'check clusterId in the configuration',
        });
      }
      const replica = node.find(request.topicId, request.logStreamId);
      await serveFetch(replica, request, stream, context);
    }),
    handler(Replication.Describe, async ({ topicId, logStreamId }) => {
      const replica = node.find(topicId, logStreamId);
      assertServes(replica);
      return DescribeReplicaResponse.create({ version: replica.core.version });
    }),
  ];
}
