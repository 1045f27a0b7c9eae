import type { RegisterStorageNode } from './commands/register-storage-node.ts';
import type { Metadata, MetadataCommand, Unseal } from './index.ts';

export const register = (id: number): RegisterStorageNode => ({
  kind: 'registerStorageNode',
  id,
  address: `node-${id}`,
});

/** Opens log stream 1. */
export const opening = (epoch: number, members: number[]): Unseal => ({
  kind: 'unseal',
  id: 1,
  epoch,
  members,
  disks: members.map(() => ''),
  primaryProcess: '',
});

/** Applies a command that is not refused. */
export function done(metadata: Metadata, command: MetadataCommand): number {
  const { result } = metadata.apply(command);
  if (!result.ok) throw new Error(`${result.code}: ${result.what}`);
  return result.value;
}
