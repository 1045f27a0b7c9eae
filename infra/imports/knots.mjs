/**
 * Files that still import themselves through others. The list only ever gets shorter: `no-circle` holds all other
 * files, and a file that is out of its circle must leave the list.
 */
export const KNOTS = [
  'framework/log/core/commit-history.ts',
  'framework/log/core/cut-planner.ts',
  'framework/log/core/cut.ts',
  'framework/log/core/holds.ts',
  'framework/log/core/metadata-changes.ts',
  'framework/log/core/metadata-command.ts',
  'framework/log/core/metadata-state.ts',
  'framework/log/core/metadata.ts',
  'framework/log/core/replica-change.ts',
  'framework/log/metadata-repository/at-leader.ts',
  'framework/log/metadata-repository/log-stream-changes.ts',
  'framework/log/metadata-repository/ordering-service.ts',
  'framework/log/metadata-repository/published-service.ts',
  'framework/log/metadata-repository/repository.ts',
  'framework/log/storage-node/fetcher.ts',
  'framework/log/storage-node/following.ts',
  'framework/log/storage-node/log-streams-service.ts',
  'framework/log/storage-node/published-description.ts',
  'framework/log/storage-node/published-service.ts',
  'framework/log/storage-node/replica.ts',
  'framework/log/storage-node/storage-node.ts',
  'framework/raft/core/candidate.ts',
  'framework/raft/core/follower.ts',
  'framework/raft/core/leader.ts',
  'framework/raft/core/raft.ts',
  'framework/raft/group-options.ts',
  'framework/raft/host-resources.ts',
  'framework/raft/member-context.ts',
];
