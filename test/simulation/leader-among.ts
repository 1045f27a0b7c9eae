import type { MetadataRepository } from '../../framework/log/metadata-repository/index.ts';

/** The one that leads, in the newest term where several believe that they do; `undefined` where none does. */
export function leaderAmong(
  repositories: readonly (MetadataRepository | undefined)[],
): MetadataRepository | undefined {
  return repositories
    .filter((it) => it?.orderer !== undefined)
    .sort((a, b) => b!.status.term - a!.status.term)[0];
}
