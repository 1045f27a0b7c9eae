import { bytesOfKey, type Key, textOfKey } from './key.ts';
import type { Version } from './version.ts';

/** A key where it is shown as text. */
export interface NamedKey {
  /** Empty where the key is not text in UTF-8. */
  key: string;
  /** The key itself where it is not text; empty or absent otherwise. */
  keyBytes?: Uint8Array;
}

/** One change of one key. `value` is absent when the key was deleted. */
export interface Change extends NamedKey {
  value?: Uint8Array;
  /** Revision of the command that made it. */
  revision: number;
}

export function named(key: Key): NamedKey {
  const text = textOfKey(key);
  return text === undefined ? { key: '', keyBytes: bytesOfKey(key) } : { key: text };
}

export function changeOf({ key, value, revision }: Version): Change {
  return { ...named(key), ...(value !== undefined && { value }), revision };
}
