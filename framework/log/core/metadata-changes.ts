import type { Commit } from './commit-history.ts';
import type { LogStreamState } from './log-stream-state.ts';

/** What commands changed, for the leader to pass on. Not part of the state. */
export interface MetadataChanges {
  readonly commits: readonly Commit[];
  /** Log streams whose assignment changed, with all nodes that are concerned. */
  readonly reassigned: ReadonlyMap<number, ReadonlySet<number>>;
  /** Nodes whose disk was given up: nothing that they said counts any more. */
  readonly replaced: ReadonlySet<number>;
  /** Nodes that are elsewhere than they were. */
  readonly moved: ReadonlySet<number>;
  /** Nodes that were unregistered. */
  readonly unregistered: ReadonlySet<number>;
}

/** Shared by all commands that change nothing of a kind: most are cuts, and each of them would make its own. */
export const NO_CHANGES: MetadataChanges = {
  commits: [],
  reassigned: new Map(),
  replaced: new Set(),
  moved: new Set(),
  unregistered: new Set(),
};

/** The assignments of log streams changed, as their replicas and `others` have to hear. */
export function reassigned(
  streams: Iterable<LogStreamState>,
  others: readonly number[] = [],
): MetadataChanges {
  const nodes = new Map<number, ReadonlySet<number>>();
  for (const it of streams) nodes.set(it.id, new Set([...it.replicas, ...others]));
  return { ...NO_CHANGES, reassigned: nodes };
}

/** All of them, one after the other. */
export function mergeChanges(all: readonly MetadataChanges[]): MetadataChanges {
  if (all.length < 2) return all[0] ?? NO_CHANGES;
  const commits: Commit[] = [];
  const nodesOf = new Map<number, Set<number>>();
  const replaced = new Set<number>();
  const moved = new Set<number>();
  const unregistered = new Set<number>();
  for (const it of all) {
    for (const commit of it.commits) commits.push(commit);
    // Cuts, and so nearly all of them, change nothing else.
    const { size } = it.reassigned;
    if (size + it.replaced.size + it.moved.size + it.unregistered.size === 0) continue;
    for (const [id, more] of it.reassigned) {
      const nodes = nodesOf.get(id) ?? new Set<number>();
      for (const node of more) nodes.add(node);
      nodesOf.set(id, nodes);
    }
    for (const node of it.replaced) replaced.add(node);
    for (const node of it.moved) moved.add(node);
    for (const node of it.unregistered) unregistered.add(node);
  }
  return { commits, reassigned: nodesOf, replaced, moved, unregistered };
}
