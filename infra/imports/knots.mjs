/**
 * Files that still import themselves through others. The list only ever gets shorter: `no-circle` holds all other
 * files, and a file that is out of its circle must leave the list.
 */
export const KNOTS = [
  'framework/log/storage-node/fetcher.ts',
  'framework/log/storage-node/following.ts',
  'framework/log/storage-node/log-streams-service.ts',
  'framework/log/storage-node/published-description.ts',
  'framework/log/storage-node/published-service.ts',
  'framework/log/storage-node/replica.ts',
  'framework/log/storage-node/storage-node.ts',
];
