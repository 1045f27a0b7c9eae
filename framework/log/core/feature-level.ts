import { VarlogError } from '../../base/index.ts';

/**
 * What a new cluster begins with, and every member supports: the commands that there were when members began to
 * agree on a level. Lower numbers are those of formats before that.
 */
export const FIRST_FEATURE_LEVEL = 3;

/**
 * From this level on, the storage nodes have to support a level as well before the cluster agrees on it, and one that
 * does not is refused afterwards. Nodes of older versions do not say what they support.
 */
export const STORAGE_NODES_AGREE_FROM = 5;

/**
 * From this level on, parts of atomic appends enter logs: every storage node tells those that it has, and every leader
 * cuts them together.
 */
export const TOGETHER_FROM = 6;

/**
 * From this level on, storage nodes are drained and log streams moved: replicas join and leave while a log stream is
 * open, and it is remembered which primary an operator prefers.
 */
export const MOVES_FROM = 6;

/** From this level on, a deleted topic comes back also where some of its storage nodes were taken out meanwhile. */
export const RESTORES_ON_REST_FROM = 7;

/** A member meets what it may not pass over: it would have another state than those that know it. */
export function aboveSupported(what: string, level: number, supported: number): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: `${what} is of feature level ${level}, and this member supports ${supported}`,
    because: 'the cluster has been upgraded, and this member runs an older version',
    next: 'start this member with the version that the others run: it resumes where it stopped',
    details: { level, supported },
  });
}
