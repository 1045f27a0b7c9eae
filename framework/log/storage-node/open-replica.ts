import { LogStreamReplica, type ReplicaHost } from './replica.ts';
import { openReplicaStorage } from './replica-storage.ts';

/** Opens the replica of a log stream in the folder of a node, or makes one. */
export async function openReplica(
  host: ReplicaHost,
  directory: string,
  topicId: number,
  logStreamId: number,
): Promise<LogStreamReplica> {
  let replica: LogStreamReplica | undefined;
  const storage = await openReplicaStorage({
    disk: host.ports.disk,
    clock: host.ports.clock,
    directory: `${directory}/replicas/${logStreamId}`,
    owner: `cluster ${host.cluster} disk ${host.disk}`,
    topicId,
    logStreamId,
    cacheBudget: host.memory.cache,
    onFailure: (error) => replica?.fail(error),
    onFull: (error) => replica?.noteFull(error),
  });
  replica = new LogStreamReplica(host, logStreamId, storage);
  return replica;
}
