/** All commands of the metadata, one a line: each module holds everything about its own. */
export * from './confirm-removals.ts';
export * from './cut.ts';
export * from './hold.ts';
export * from './raise-feature-level.ts';
export * from './register-log-stream.ts';
export * from './register-storage-node.ts';
export * from './register-topic.ts';
export * from './release.ts';
export * from './replace-storage-node.ts';
export * from './restore-topic.ts';
export * from './seal.ts';
export * from './set-replicas.ts';
export * from './trim.ts';
export * from './unregister-log-stream.ts';
export * from './unregister-storage-node.ts';
export * from './unregister-topic.ts';
export * from './unseal.ts';
