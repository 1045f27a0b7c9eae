import { VarlogError } from '../../base/index.ts';
import type { StorageNodeHealth } from '../../wire/gen/log.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import type { ChannelPool } from './channel-pool.ts';

const PROBE_TIMEOUT_MS = 1_000;

/** What storage nodes say of themselves, by their ids. */
export type NodeAnswers = ReadonlyMap<number, snpb.StorageNodeMetadataDescriptor>;

/**
 * Asks each storage node how it is: of slow disks, and of what failed why, the leader knows nothing. One that does
 * not answer is left out.
 */
export async function askStorageNodes(
  channels: ChannelPool,
  nodes: readonly StorageNodeHealth[],
  signal: AbortSignal | undefined,
): Promise<NodeAnswers> {
  const options = { timeoutMs: PROBE_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
  const request = snpb.GetMetadataRequest.create({});
  const answers = new Map<number, snpb.StorageNodeMetadataDescriptor>();
  const ask = async ({ storageNodeId, address }: StorageNodeHealth): Promise<void> => {
    try {
      const found = await channels.to(address).call(snpb.Management.GetMetadata, request, options);
      const metadata = found.storageNodeMetadata;
      // Another node may listen there by now.
      if (metadata?.storageNode?.storageNodeId !== storageNodeId) return;
      answers.set(storageNodeId, metadata);
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
    }
  };
  await Promise.all(nodes.map(ask));
  return answers;
}
