import { type Random, VarlogError } from '../base/index.ts';
import type { CheckEntry } from './envelope.ts';

/** Own hashes are kept for so many checks, because entries of several replicas may cross; and others for so many. */
const KEPT = 16;

export interface StateCheckParts {
  /** Commands between checks. */
  readonly every: number;
  readonly random: Random;
  /** The state as it is now: see `hashOf`. */
  readonly hash: () => string;
  /** Whether this replica was level with the log once. One that still replays it tells nobody anything. */
  readonly isLevel: () => boolean;
  /** Appends an entry that says what the state was at a position; 0 where there is nothing to say yet. */
  readonly write: (entry: CheckEntry) => Promise<unknown>;
}

/**
 * Compares the state of this replica with that of the others, at positions that the log agrees on: an entry is such a
 * position, and the next one says what its writer found there. Entries alone set the pace: who has applied enough
 * commands since the last one writes, and all others begin to count anew; of two that write at once both count.
 */
export class StateCheck {
  private readonly parts: StateCheckParts;
  /** This replica, among those that write. */
  private readonly writer: number;
  /** By position of an entry. */
  private readonly own = new Map<number, string>();
  /** By writer, the newest position at which its state was equal to this one. */
  private readonly equal = new Map<number, number>();
  private commands = 0;
  private due = 0;
  private isWriting = false;
  /** The newest position at which another replica was found to have the same state; 0: none yet. */
  equalAt = 0;

  /** Throws `INVALID_ARGUMENT` for what is no number of commands. */
  constructor(parts: StateCheckParts) {
    const { every } = parts;
    if (!(Number.isSafeInteger(every) && every >= 1)) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `checkEvery is ${every}`,
        next: 'give a whole number from 1 on, or leave it out',
      });
    }
    this.parts = parts;
    this.writer = Math.floor(parts.random.fraction() * Number.MAX_SAFE_INTEGER) + 1;
    this.begin();
  }

  /** One more command was applied. */
  applied(): void {
    this.commands++;
  }

  /** The state is that of a snapshot: what was known of the one before says nothing of it. */
  restored(): void {
    this.own.clear();
  }

  /** Writes an entry where it is time. */
  propose(): void {
    if (this.isWriting || this.commands < this.due || !this.parts.isLevel()) return;
    this.isWriting = true;
    const position = [...this.own.keys()].at(-1) ?? 0;
    this.write(position, this.own.get(position) ?? '');
  }

  /**
   * The entry at `position` says what its writer's state was at `checked`; the own state now is that at `position`. Throws
   * `STATE_DIVERGED` where they differ, and tells whoever wrote it.
   */
  met(position: number, { checked, writer, hash }: CheckEntry): void {
    const own = this.own.get(checked);
    if (writer !== this.writer && own !== undefined && subjectOf(own) === subjectOf(hash)) {
      if (own !== hash) {
        if (this.parts.isLevel()) this.write(checked, own);
        throw diverged(this.equal.get(writer) ?? 0, checked, position, { own, other: hash });
      }
      this.equalAt = Math.max(this.equalAt, checked);
      keep(this.equal, writer, checked);
    }
    keep(this.own, position, this.parts.hash());
    this.begin();
  }

  private begin(): void {
    const { every, random } = this.parts;
    this.commands = 0;
    this.isWriting = false;
    // Spread, so that one replica writes and not all.
    this.due = every + random.below(Math.ceil(every / 4) + 1);
  }

  /** What cannot be written is tried again with the commands that follow. */
  private write(position: number, hash: string): void {
    this.parts.write({ checked: position, writer: this.writer, hash }).catch(() => {
      this.isWriting = false;
    });
  }
}

/** As the newest of so many. */
function keep<T>(map: Map<number, T>, key: number, value: T): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) if (map.size > KEPT) map.delete(oldest);
}

/** What was hashed: hashes of different things cannot be compared. */
function subjectOf(hash: string): string {
  return hash.slice(0, hash.indexOf(':'));
}

function diverged(
  after: number,
  position: number,
  entry: number,
  hashes: { own: string; other: string },
): VarlogError {
  return new VarlogError('STATE_DIVERGED', {
    what: `the state of this replica at position ${position} is not that of another one; at position ${after} they were still equal`,
    because:
      'the machine is not deterministic, or replicas run different code under the same version of the rules',
    next: `find the command with "varlog replay --twice", or with --against the code of the other replica, and start all of them with the same code from a snapshot from before it; what the other one said can be passed over with skipCommand(log, ${entry})`,
    details: { after, position, entry, ...hashes },
  });
}
