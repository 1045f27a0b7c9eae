import { inPieces, Pieces } from '../pieces.ts';
import type { ApplyContext, StateMachine } from '../state-machine.ts';
import { type MapView, VersionedMap } from '../versioned-map.ts';
import { inParts } from './in-parts.ts';
import {
  checkRemembered,
  Remembered,
  type RememberedLimits,
  type RememberedState,
} from './remembered.ts';

/** What a transaction has read of a key, with the position of the transaction that wrote it; 0 stands for a key that is not there. */
export type TransactionRead = readonly [key: string, version: number];
/** `null` removes the key. */
export type TransactionWrite = readonly [key: string, value: string | null];

/** An attempt of a transaction, as it lies in the log: what it has read, and what it wants to write. */
export interface TransactionCommit {
  readonly op: 'commit';
  /** Of the transaction, equal for all its attempts. */
  readonly id: string;
  /** 1, 2, 3, …: the next is made when the one before was aborted, and only then. */
  readonly attempt: number;
  /** A position from before the first attempt: what was forgotten after it may have been this transaction. */
  readonly since: number;
  readonly reads: readonly TransactionRead[];
  readonly writes: readonly TransactionWrite[];
  /** What its body returned, in JSON, for those who repeat the transaction. Absent for `undefined`. */
  readonly result?: string;
}

/** Asks what became of a transaction; one that is not known never takes effect from then on. */
export interface TransactionSettle {
  readonly op: 'settle';
  readonly id: string;
  readonly since: number;
}

export type TransactionCommand = TransactionCommit | TransactionSettle;

/** The key that was changed after it had been read. */
export interface TransactionConflict {
  readonly key: string;
  /** The position at which it was changed; absent where it was removed so long ago that this is not kept. */
  readonly position?: number;
  /** The transaction that changed it. */
  readonly by?: string;
}

/** What became of a transaction: decided by every replica alike, from the log alone. */
export type TransactionOutcome =
  /** Took effect, once, at `position`. */
  | { readonly state: 'committed'; readonly position: number; readonly result?: string }
  /** This attempt never takes effect, because of `conflict`; another one of the same transaction may. */
  | {
      readonly state: 'aborted';
      readonly position: number;
      readonly attempt: number;
      readonly conflict: TransactionConflict;
    }
  /** Was asked for before it had come, and never takes effect since then. */
  | { readonly state: 'refused'; readonly position: number }
  /** May have been decided so long ago that this is not kept: what was decided up to `through` is forgotten. */
  | { readonly state: 'forgotten'; readonly through: number };

/** A value, the position of the transaction that wrote it, and which one that was. */
export interface TransactionItem {
  readonly value: string;
  readonly version: number;
  readonly by: string;
}

type Removal = Omit<TransactionItem, 'value'>;
type Kept = Exclude<TransactionOutcome, { state: 'forgotten' }>;

/** A piece of the state: it has some of the keys or outcomes. Those of a snapshot of an older version are in one piece. */
export interface TransactionState {
  readonly position: number;
  readonly items: readonly (readonly [string, TransactionItem])[];
  readonly outcomes: RememberedState<Kept>;
  readonly removals: RememberedState<Removal>;
}

/** All keys as they were after the command at `position`, for as long as it is wanted. */
export interface TransactionView {
  readonly position: number;
  readonly items: MapView<string, TransactionItem>;
}

/** The default: a day, in up to 64 MiB. */
const LIMITS: RememberedLimits = { keptMs: 24 * 3_600_000, bytesMax: 64 * 1024 * 1024 };
/** About what a small object and its place in a map take. */
const OVERHEAD_BYTES = 200;

/**
 * Multi-key transactions on a totally ordered log, the optimistic way of Tango (SOSP 2013, section 4):
 * nothing is locked. A transaction commits if all that it has read is still of the same version at its
 * place in the log, so the transactions that commit are as if run one after the other in that order.
 */
export class TransactionMachine
  implements StateMachine<TransactionCommand, TransactionOutcome, Pieces<TransactionState>>
{
  private readonly limits: RememberedLimits;
  private position = 0;
  private items = new VersionedMap<string, TransactionItem>();
  private outcomes: Remembered<Kept>;
  /** Who removed a key, for those who read it before. */
  private removals: Remembered<Removal>;
  private latest: TransactionView | undefined;

  /** `limits` are of what is remembered of outcomes. They decide what commands do: they must be equal on all replicas. */
  constructor(limits: RememberedLimits = LIMITS) {
    checkRemembered(limits);
    this.limits = limits;
    this.outcomes = new Remembered(limits);
    this.removals = new Remembered(limits);
  }

  apply(
    command: TransactionCommand,
    { position, time }: Pick<ApplyContext, 'position' | 'time'>,
  ): TransactionOutcome {
    this.position = position;
    this.latest = undefined;
    const { id, since } = command;
    const known = this.outcomes.get(id);
    if (known !== undefined && !isNextAttempt(command, known)) return known;
    const through = this.outcomes.forgottenThrough;
    if (known === undefined && since < through) return { state: 'forgotten', through };
    const outcome = this.decide(command, position, time);
    this.outcomes.set(id, outcome, bytesOf(id, outcome), position, time);
    return outcome;
  }

  /** Another machine in the same state, at no cost: what is done to one of the two is not seen in the other. */
  fork(): TransactionMachine {
    const fork = new TransactionMachine(this.limits);
    fork.position = this.position;
    fork.items = this.items.fork();
    fork.outcomes = this.outcomes.fork();
    fork.removals = this.removals.fork();
    return fork;
  }

  snapshot(): Pieces<TransactionState> {
    return inPieces(this.pieces());
  }

  /** An older version has kept its state whole. */
  restore(state: TransactionState | Pieces<TransactionState>): Promise<void> | void {
    const made = new TransactionMachine(this.limits);
    if (Pieces.is(state)) return this.restoreAll(state as Pieces<TransactionState>, made);
    made.add(state);
    this.become(made);
  }

  inspect(key: string): TransactionItem | undefined {
    return this.items.get(key);
  }

  /** All keys as they are now. It costs nothing, and is the same for all who ask between two commands. */
  view(): TransactionView {
    this.latest ??= { position: this.position, items: this.items.snapshot() };
    return this.latest;
  }

  /** What is known here of a transaction: nothing may also mean that it has not come yet, or was forgotten. */
  known(id: string): TransactionOutcome | undefined {
    return this.outcomes.get(id);
  }

  private *pieces(): Generator<TransactionState> {
    const { position } = this;
    const items = this.items.snapshot();
    const [outcomes, removals] = [this.outcomes.pieces(), this.removals.pieces()];
    // What there is none of has its numbers in this one.
    const [outcome, removal] = [this.outcomes.numbers, this.removals.numbers];
    const state = { position, items: [], outcomes: outcome, removals: removal };
    yield state;
    for (const some of inParts(items)) yield { ...state, items: some };
    for (const some of outcomes) yield { ...state, outcomes: some };
    for (const some of removals) yield { ...state, removals: some };
  }

  private async restoreAll(
    pieces: Pieces<TransactionState>,
    made: TransactionMachine,
  ): Promise<void> {
    for await (const piece of pieces) made.add(piece);
    this.become(made);
  }

  private add({ position, items, outcomes, removals }: TransactionState): void {
    this.position = position;
    for (const [key, item] of items) this.items.set(key, item);
    this.outcomes.add(outcomes);
    this.removals.add(removals);
  }

  private become({ position, items, outcomes, removals }: TransactionMachine): void {
    this.position = position;
    this.items = items;
    this.outcomes = outcomes;
    this.removals = removals;
    this.latest = undefined;
  }

  private decide(command: TransactionCommand, position: number, time: number): Kept {
    if (command.op === 'settle') return { state: 'refused', position };
    const { id, attempt, reads, writes, result } = command;
    const conflict = this.conflict(reads);
    if (conflict !== undefined) return { state: 'aborted', position, attempt, conflict };
    for (const [key, value] of writes) this.write(key, value, { version: position, by: id }, time);
    return { state: 'committed', position, ...(result !== undefined && { result }) };
  }

  private write(key: string, value: string | null, by: Removal, time: number): void {
    if (value !== null) this.items.set(key, { value, ...by });
    else if (this.items.delete(key)) this.removals.set(key, by, bytesOf(key, by), by.version, time);
  }

  /** The first of the reads that is not up to date any more. */
  private conflict(reads: readonly TransactionRead[]): TransactionConflict | undefined {
    for (const [key, version] of reads) {
      const item = this.items.get(key);
      if ((item?.version ?? 0) === version) continue;
      const changed = item ?? this.removals.get(key);
      return { key, ...(changed && { position: changed.version, by: changed.by }) };
    }
    return undefined;
  }
}

/** An attempt that was aborted says nothing of the next one. */
function isNextAttempt(command: TransactionCommand, known: Kept): boolean {
  return command.op === 'commit' && known.state === 'aborted' && command.attempt > known.attempt;
}

function bytesOf(key: string, kept: Kept | Removal): number {
  return OVERHEAD_BYTES + 2 * (key.length + JSON.stringify(kept).length);
}
