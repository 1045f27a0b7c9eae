import { applied, fetchFromReplica } from './commit.ts';
import { noteFull } from './full-disk.ts';
import { LogStreamReplica, type ReplicaHost, type ReplicaOperations } from './replica.ts';
import { openReplicaStorage } from './replica-storage.ts';
import { takeSteps } from './take-steps.ts';

const OPERATIONS: ReplicaOperations = { takeSteps, applied, fetchFromReplica };

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
    segmentBytes: host.segmentBytes,
    cacheBudget: host.memory.cache,
    producerLimits: host.producerLimits,
    onFailure: (error) => replica?.fail(error),
    onFull: (error) => replica && noteFull(replica, error),
  });
  replica = new LogStreamReplica(host, logStreamId, storage, OPERATIONS);
  return replica;
}
