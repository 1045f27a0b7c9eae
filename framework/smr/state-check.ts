import { type Random, VarlogError } from '../base/index.ts';
import type { CheckEntry } from './envelope.ts';

/** So many checks are kept in mind, because entries of several replicas may cross, and so many replicas with each. */
const KEPT = 64;

/** What is known of the state at one check. */
interface Known {
  readonly own: string;
  /** By writer, what others found. */
  readonly said: Map<number, string>;
  /** Whether those who differ were found to be fewer. */
  isSettled: boolean;
}

export interface StateCheckParts {
  /** Commands between checks. */
  readonly every: number;
  readonly random: Random;
  /** The state as it is now: see `hashOf`. */
  readonly hash: () => string;
  /** Whether this replica was level with the log once. One that still replays it tells nobody anything. */
  readonly isLevel: () => boolean;
  /** Passes the time in which others, where they live, say what they have. */
  readonly pause: () => Promise<void>;
  /** By writer, what was said of the state at `checked` after the entry at `position`; `undefined`: the log does not answer. */
  readonly saidAfter: (
    position: number,
    checked: number,
  ) => Promise<ReadonlyMap<number, string> | undefined>;
  /** Appends an entry that says what the state was at a position; 0 where there is nothing to say yet. */
  readonly write: (entry: CheckEntry) => Promise<unknown>;
}

/**
 * Compares the state of this replica with that of the others, at positions that the log agrees on: an entry is such a
 * position, and the next one says what its writer found there. Entries alone set the pace: who has applied enough
 * commands since the last one writes, and all others begin to count anew; of two that write at once both count. Who found
 * something else says so in an entry of its own, and so each learns how many have the state that it has.
 */
export class StateCheck {
  private readonly parts: StateCheckParts;
  /** This replica, among those that write. */
  private readonly writer: number;
  /** By position of an entry. */
  private readonly known = new Map<number, Known>();
  private disputed: Known | undefined;
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
    this.known.clear();
  }

  /** Writes an entry where it is time. */
  propose(): void {
    if (this.isWriting || this.commands < this.due || !this.parts.isLevel()) return;
    this.isWriting = true;
    const [position, known] = [...this.known].at(-1) ?? [0];
    this.write(position, known?.own ?? '');
  }

  /**
   * The entry at `position` says what its writer's state was at `checked`; the own state now is that at `position`. Throws
   * `STATE_DIVERGED` where they differ, and says what it was here: {@link prevails} decides what becomes of it.
   */
  met(position: number, { checked, writer, hash }: CheckEntry): void {
    const known = this.known.get(checked);
    if (writer !== this.writer && known !== undefined && areComparable(known.own, hash)) {
      keep(known.said, writer, hash);
      if (known.own === hash) {
        this.equalAt = Math.max(this.equalAt, checked);
        keep(this.equal, writer, checked);
      } else if (!(known.isSettled && isOfMost(known)))
        this.dispute(position, checked, writer, known);
    }
    keep(this.known, position, { own: this.parts.hash(), said: new Map(), isSettled: false });
    this.begin();
  }

  /**
   * After `STATE_DIVERGED` at the entry at `position`, before it comes again: whether more replicas have said that their
   * state is that of this one than anything else. Otherwise nobody knows who is right.
   */
  async prevails(position: number, checked: number): Promise<boolean> {
    const { disputed, parts } = this;
    if (disputed === undefined) return false;
    // Who replays the log reads what came of it.
    if (parts.isLevel()) await parts.pause();
    for (const [writer, hash] of (await parts.saidAfter(position, checked)) ?? []) {
      if (writer !== this.writer && areComparable(disputed.own, hash))
        keep(disputed.said, writer, hash);
    }
    disputed.isSettled = isOfMost(disputed);
    return disputed.isSettled;
  }

  private dispute(position: number, checked: number, writer: number, known: Known): never {
    const { own, said } = known;
    if (!known.isSettled && this.parts.isLevel()) this.write(checked, own);
    this.disputed = known;
    const hashes = { own, other: said.get(writer) as string };
    throw diverged(this.equal.get(writer) ?? 0, checked, position, hashes);
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

/** Hashes of different things say nothing of each other: what was hashed stands before the colon. */
function areComparable(one: string, other: string): boolean {
  return one.slice(0, one.indexOf(':')) === other.slice(0, other.indexOf(':'));
}

/** Whether more replicas, this one among them, have its state than any other. */
function isOfMost({ own, said }: Known): boolean {
  const counts = new Map([[own, 1]]);
  for (const hash of said.values()) counts.set(hash, (counts.get(hash) ?? 0) + 1);
  const most = counts.get(own) as number;
  return [...counts].every(([hash, count]) => hash === own || count < most);
}

function diverged(
  after: number,
  position: number,
  entry: number,
  hashes: { own: string; other: string },
): VarlogError {
  return new VarlogError('STATE_DIVERGED', {
    what: `the state of this replica at position ${position} is not that of another one, and no more replicas have it than others; at position ${after} the two were still equal`,
    because:
      'the machine is not deterministic, or replicas run different code under the same version of the rules',
    next: `find the command with "varlog replay --twice", or with --against the code of the other replica, and start all of them with the same code from a snapshot from before it; what the other one said can be passed over with skipCommand(log, ${entry})`,
    details: { after, position, entry, ...hashes },
  });
}
