import type { Key } from './key.ts';

/** A key as it was from one revision on: what a change of it has made. Never changed. */
export interface Version {
  readonly key: Key;
  /** `undefined`: the key was deleted. */
  readonly value: Uint8Array | undefined;
  /** Of the change that has made it. */
  readonly revision: number;
  /** Of the change that has made the key; 0 where it was deleted. */
  readonly createRevision: number;
  /** How many changes there were since, with that one; 0 where it was deleted. */
  readonly version: number;
  /** The lease with which the key ends; 0: none. */
  readonly lease: number;
}

/** A key that is there. */
export type LiveVersion = Version & { readonly value: Uint8Array };
