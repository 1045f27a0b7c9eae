import type { Commit } from './cut.ts';

/** What a batch of commands changed, for the leader to pass on. Not part of the state. */
export interface MetadataChanges {
  commits: Commit[];
  /** Log streams whose assignment changed, with all nodes that are concerned. */
  reassigned: Map<number, Set<number>>;
  /** Nodes whose disk was given up: nothing that they said counts any more. */
  replaced: Set<number>;
  /** Nodes that were unregistered. */
  unregistered: Set<number>;
}

export function noChanges(): MetadataChanges {
  return {
    commits: [],
    reassigned: new Map(),
    replaced: new Set(),
    unregistered: new Set(),
  };
}
