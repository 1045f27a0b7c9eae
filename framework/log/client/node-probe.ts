import { VarlogError } from '../../base/index.ts';
import type { StorageNodeHealth } from '../../wire/gen/log.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import type { ClientChannels } from './client-channels.ts';

const PROBE_TIMEOUT_MS = 1_000;

/** What came of asking storage nodes, by their ids: each is in one of them. */
export interface NodeAnswers {
  /** What they say of themselves. */
  readonly said: ReadonlyMap<number, snpb.StorageNodeMetadataDescriptor>;
  /** Why those did not answer that did not, in words. */
  readonly silent: ReadonlyMap<number, string>;
  /** The same of those at whose address something else answers. */
  readonly displaced: ReadonlyMap<number, string>;
}

/**
 * Asks each storage node how it is: of slow disks, of what failed why, and of addresses at which nobody reaches a node, the
 * leader knows nothing.
 */
export async function askStorageNodes(
  channels: ClientChannels,
  nodes: readonly StorageNodeHealth[],
  signal: AbortSignal | undefined,
): Promise<NodeAnswers> {
  const options = { timeoutMs: PROBE_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
  const request = snpb.GetMetadataRequest.create({});
  const said = new Map<number, snpb.StorageNodeMetadataDescriptor>();
  const silent = new Map<number, string>();
  const displaced = new Map<number, string>();
  const ask = async ({ storageNodeId, address }: StorageNodeHealth): Promise<void> => {
    try {
      const found = await channels.to(address).call(snpb.Management.GetMetadata, request, options);
      const metadata = found.storageNodeMetadata;
      const other = metadata?.storageNode?.storageNodeId;
      if (metadata !== null && other === storageNodeId) said.set(storageNodeId, metadata);
      else displaced.set(storageNodeId, `storage node ${other} answers there`);
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      const into = error.code === 'CLUSTER_MISMATCH' ? displaced : silent;
      into.set(storageNodeId, error.message);
    }
  };
  await Promise.all(nodes.map(ask));
  return { said, silent, displaced };
}
