/**
 * Consensus as a pure function of what happened: feed a {@link Raft} with ticks, messages and
 * finished writes, and carry out what it asks for.
 *
 * ```ts
 * const raft = new Raft(options, { term: 0, vote: 0 }, shape);
 * raft.tick();
 * const { messages, write } = raft.effects();
 * // send the messages; write, then raft.persisted(write.sequence), then effects() again
 * ```
 *
 * It does no I/O, keeps no time and starts nothing: the driver in the folder above does.
 */
export * from './configuration.ts';
export * from './configuration-entry.ts';
export type { Effects, Fetch } from './effects.ts';
export * from './entry-batch.ts';
export * from './log.ts';
export * from './message.ts';
export * from './persistence.ts';
export * from './raft.ts';
export * from './raft-options.ts';
export * from './read-rounds.ts';
export type { Role } from './role.ts';
