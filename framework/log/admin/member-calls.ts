import { type Handler, handler } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import {
  addPublished,
  atLeader,
  checkOneAddress,
  describeMember,
  type MetadataRepository,
  publishedMember,
  publishedNodeId,
  publishedNodeKey,
  removePublished,
  removePublishedAt,
} from '../metadata-repository/index.ts';

const service = admpb.ClusterManager;

/** What `varlog.admpb.ClusterManager` says of the members of the metadata repository. */
export function memberHandlers(repository: MetadataRepository): Handler[] {
  const add = ({ raftUrl, rpcAddr }: { raftUrl: string; rpcAddr: string }, signal: AbortSignal) => {
    checkOneAddress(raftUrl, rpcAddr);
    return addPublished(repository, { url: raftUrl }, signal);
  };
  return [
    ...listHandlers(repository),
    atLeader(repository, service.AddMetadataRepositoryNode, async (request, signal) => {
      const member = await add(request, signal);
      return admpb.AddMetadataRepositoryNodeResponse.create({
        node: describeMember(repository, member),
      });
    }),
    atLeader(repository, service.AddMRPeer, async (request, signal) => {
      const nodeId = publishedNodeId(await add(request, signal));
      return admpb.AddMRPeerResponse.create({ nodeId });
    }),
    atLeader(repository, service.DeleteMetadataRepositoryNode, async ({ nodeId }, signal) => {
      await removePublished(repository, nodeId, signal);
      return admpb.DeleteMetadataRepositoryNodeResponse.create({});
    }),
    atLeader(repository, service.RemoveMRPeer, async ({ raftUrl }, signal) => {
      await removePublishedAt(repository, raftUrl, signal);
      return admpb.RemoveMRPeerResponse.create({});
    }),
  ];
}

function listHandlers(repository: MetadataRepository): Handler[] {
  return [
    handler(service.GetMetadataRepositoryNode, async ({ nodeId }) => {
      const node = describeMember(repository, publishedMember(repository, nodeId));
      return admpb.GetMetadataRepositoryNodeResponse.create({ node });
    }),
    handler(service.ListMetadataRepositoryNodes, async () => {
      const sorted = [...repository.members].sort(
        (a, b) => publishedNodeId(a) - publishedNodeId(b),
      );
      const nodes = sorted.map((it) => describeMember(repository, it));
      return admpb.ListMetadataRepositoryNodesResponse.create({ nodes });
    }),
    handler(service.GetMRMembers, async () => {
      const { leader } = repository.status;
      return admpb.GetMRMembersResponse.create({
        leader: leader === undefined ? 0 : publishedNodeId(leader),
        replicationFactor: repository.options.replicationFactor,
        members: Object.fromEntries(
          repository.members.map((it) => [publishedNodeKey(it), `http://${it.address}`]),
        ),
      });
    }),
  ];
}
