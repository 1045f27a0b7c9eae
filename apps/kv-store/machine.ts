import { type ApplyContext, inPieces, Pieces, type StateMachine } from 'varlog/smr';
import type { HistoryLimits } from './change-history.ts';
import { type Condition, holds } from './condition.ts';
import type { RangeRequest, RangeResponse, TxnRequest, TxnResponse } from './etcd/messages.ts';
import { type Key, type KeyRange, keyOfText } from './key.ts';
import { KeyLeases, type StoredLease } from './key-leases.ts';
import { Writer } from './key-writer.ts';
import { type MvccState, MvccStore } from './mvcc-store.ts';
import { ANSWER_BYTES_MAX, checkRevision, readRange } from './range.ts';
import { type Refusal, Refused } from './refusal.ts';
import { onlyReads, runTransaction } from './transaction.ts';
import type { LiveVersion } from './version.ts';

/** A write of one key, as the store's own interfaces have it. */
export type KvWrite = ({ op: 'put'; key: Key; value: Uint8Array } | { op: 'delete'; key: Key }) & {
  /** Without it the write takes place whatever is there. */
  condition?: Condition;
  /** Written by a version whose revisions were positions in the log: this one's is its position, as it was then. */
  byPosition?: true;
};

/** What etcd's interface writes. Leases have ids from 1 on; times to live are in seconds. */
export type EtcdCommand =
  | { op: 'transact'; request: TxnRequest }
  | { op: 'compact'; revision: number }
  | { op: 'grant'; lease: number; ttl: number }
  | { op: 'revoke'; lease: number }
  | { op: 'keepAlive'; lease: number }
  /** When the time of a lease has come, as it was last known: scheduled, and never sent. */
  | { op: 'expire'; lease: number };

export type KvCommand = KvWrite | EtcdCommand;

/**
 * `revision` is the key's: as written when done, as found otherwise (0: no such key). `existed` tells whether the key was
 * there before.
 */
export interface KvResult {
  done: boolean;
  revision: number;
  existed: boolean;
}

/** How an {@link EtcdCommand} ended. */
export interface EtcdResult {
  /** Revision of the store after it. */
  revision: number;
  /** Why nothing was done. */
  refused?: Refusal;
  /** Of a transaction. */
  txn?: TxnResponse;
  /** Time to live of a lease that was granted or kept alive. */
  ttl?: number;
}

/** The state, or a piece of it: of the leases, keys and changes those that are in no other. The numbers are in each. */
export interface KvSnapshot extends MvccState {
  readonly leases: readonly StoredLease[];
}

/** What the machine uses of its context. */
export type KvContext = Pick<
  ApplyContext<KvCommand>,
  'position' | 'time' | 'timer' | 'schedule' | 'cancel'
>;

/** The replicated keys and leases. Every replica applies the same commands and so has the same content. */
export class KvMachine
  implements StateMachine<KvCommand, KvResult | EtcdResult, Pieces<KvSnapshot>>
{
  private readonly limits: Partial<HistoryLimits>;
  private store: MvccStore;
  private leases = new KeyLeases();

  constructor(limits: Partial<HistoryLimits> = {}) {
    this.limits = limits;
    this.store = new MvccStore(limits);
  }

  apply(command: KvCommand, context: KvContext): KvResult | EtcdResult {
    const result =
      command.op === 'put' || command.op === 'delete'
        ? this.write(command, context.position)
        : this.perform(command, context);
    this.store.bound();
    return result;
  }

  /** Another machine in the same state, at no cost: what is done to one of the two is not seen in the other. */
  fork(): KvMachine {
    const fork = new KvMachine(this.limits);
    fork.store = this.store.fork();
    fork.leases = this.leases.fork();
    return fork;
  }

  snapshot(): Pieces<KvSnapshot> {
    return inPieces(piecesOf(this.leases.pieces(), this.store.pieces()));
  }

  /** An older version has kept its state whole. */
  restore(state: KvSnapshot | Pieces<KvSnapshot>): Promise<void> | void {
    const made = new KvMachine(this.limits);
    if (Pieces.is(state)) return this.restoreAll(state as Pieces<KvSnapshot>, made);
    made.add(state);
    this.become(made, state);
  }

  private async restoreAll(pieces: Pieces<KvSnapshot>, made: KvMachine): Promise<void> {
    let last: KvSnapshot | undefined;
    for await (const piece of pieces) {
      made.add(piece);
      last = piece;
    }
    this.become(made, last!);
  }

  private add(piece: KvSnapshot): void {
    const { store, leases } = this;
    for (const lease of piece.leases) leases.set(lease);
    store.restore(piece, (key, from, to) => leases.move(key, from, to));
  }

  /** `piece`: any of those that were added. */
  private become({ store, leases }: KvMachine, piece: KvSnapshot): void {
    store.restored(piece);
    this.store = store;
    this.leases = leases;
  }

  /** How many keys there are. */
  get size(): number {
    return this.store.size;
  }

  /** How many keys there are of which something can be read, at present or in the past. */
  get remembered(): number {
    return this.store.remembered;
  }

  /** Revision of the last change. */
  get revision(): number {
    return this.store.revision;
  }

  /** What was before this revision cannot be read any more. */
  get compacted(): number {
    return this.store.compacted;
  }

  /** The newest changes. */
  get history(): MvccStore['history'] {
    return this.store.history;
  }

  get(key: Key): LiveVersion | undefined {
    return this.store.get(key);
  }

  /** The value under a key, as text where it is one; `undefined` where the key is not there. */
  inspect(key: string): { value: string; revision: number } | undefined {
    const found = this.store.get(keyOfText(key));
    if (found === undefined) return undefined;
    return { value: Buffer.from(found.value).toString(), revision: found.revision };
  }

  /** A key before the change that made `revision`, as far as it is still known. */
  before(key: Key, revision: number): LiveVersion | undefined {
    return this.store.before(key, revision);
  }

  /** The keys of a range, in order. To be read at once. */
  range(range: KeyRange): Generator<LiveVersion> {
    return this.store.range(range);
  }

  /** Answers a read of etcd's interface. Throws {@link Refused}. */
  read(request: RangeRequest): RangeResponse {
    checkRevision(this.store, request.revision);
    return readRange(this.store, request, ANSWER_BYTES_MAX);
  }

  /** Runs a transaction that {@link onlyReads}. Throws {@link Refused}. */
  look(request: TxnRequest): TxnResponse {
    if (!onlyReads(request)) throw new TypeError('it writes');
    return runTransaction(this.writer(), request);
  }

  lease(id: number): StoredLease | undefined {
    return this.leases.get(id);
  }

  /** The keys that end with a lease, in their order. To be read at once. */
  keysOfLease(id: number): Iterable<Key> {
    return this.leases.keysOf(id);
  }

  /** How many leases are held. */
  get leaseCount(): number {
    return this.leases.size;
  }

  /** The ids of the leases that are held. */
  leaseIds(): number[] {
    return this.leases.ids();
  }

  private write(command: KvWrite, position: number): KvResult {
    const { key, condition, byPosition } = command;
    if (command.op === 'put' && condition === undefined && byPosition !== true) {
      const existed = this.writer().put(key, command.value, 0) !== undefined;
      return { done: true, revision: this.store.revision, existed };
    }
    const revision = this.store.get(key)?.revision ?? 0;
    const existed = revision > 0;
    const refused = condition !== undefined && !holds(condition, revision);
    if (refused || (command.op === 'delete' && !existed)) return { done: false, revision, existed };
    if (byPosition === true) this.writeByPosition(command, position);
    else if (command.op === 'delete') this.writer().delete(key);
    else this.writer().put(key, command.value, 0);
    return { done: true, revision: this.store.revision, existed };
  }

  /**
   * As it was: snapshots of that time know of no past. A replica that starts from one must be equal to another, which
   * applies the commands that are in it.
   */
  private writeByPosition(command: KvWrite, position: number): void {
    const { store, leases } = this;
    const { key } = command;
    const revision = Math.max(store.revision + 1, position);
    leases.move(key, store.get(key)?.lease ?? 0, 0);
    if (command.op === 'delete') store.delete(key, revision);
    else store.replace(key, command.value, revision);
    store.forgetPast();
  }

  private perform(command: EtcdCommand, context: KvContext): EtcdResult {
    try {
      return { revision: this.store.revision, ...this.performed(command, context) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { revision: this.store.revision, refused: error.refusal };
    }
  }

  private performed(command: EtcdCommand, context: KvContext): Partial<EtcdResult> {
    const { store, leases } = this;
    switch (command.op) {
      case 'transact': {
        const txn = runTransaction(this.writer(), command.request);
        return { revision: store.revision, txn };
      }
      case 'compact':
        if (command.revision <= store.compacted) throw new Refused('compacted');
        if (command.revision > store.revision) throw new Refused('futureRevision');
        store.compact(command.revision);
        return {};
      case 'grant':
        return { ttl: this.grant(command.lease, command.ttl, context).ttl };
      case 'keepAlive':
        return { ttl: leases.keepAlive(command.lease, context.time).ttl };
      case 'revoke':
        context.cancel(leases.held(command.lease).timer);
        this.end(command.lease);
        return { revision: store.revision };
      case 'expire':
        this.expire(command.lease, context);
        return { revision: store.revision };
    }
  }

  private grant(id: number, ttl: number, context: KvContext): StoredLease {
    const { leases } = this;
    leases.checkFree(id);
    const expiresAt = context.time + ttl * 1_000;
    const timer = context.schedule(expiresAt, { op: 'expire', lease: id });
    if (timer === undefined) throw new Refused('tooManyLeases');
    const lease = { id, ttl, expiresAt, timer };
    leases.set(lease);
    return lease;
  }

  /** One that was kept alive meanwhile has its time later. */
  private expire(id: number, context: KvContext): void {
    const lease = this.leases.get(id);
    if (lease === undefined || lease.timer !== context.timer) return;
    // There is room for it: that of the timer which is due now.
    if (lease.expiresAt > context.time) {
      const timer = context.schedule(lease.expiresAt, { op: 'expire', lease: id })!;
      this.leases.set({ ...lease, timer });
    } else this.end(id);
  }

  /** The keys of a lease go with it, all at once. */
  private end(id: number): void {
    const writer = this.writer();
    for (const key of this.leases.remove(id)) writer.delete(key);
  }

  private writer(): Writer {
    return new Writer(this.store, this.leases, this.store.revision + 1);
  }
}

/** Some of the leases are in each, as long as there are some. */
function* piecesOf(
  leases: Iterator<StoredLease[], undefined>,
  pieces: Iterable<MvccState>,
): Generator<KvSnapshot> {
  let last: MvccState | undefined;
  for (const piece of pieces) {
    last = piece;
    yield { ...piece, leases: leases.next().value ?? [] };
  }
  for (let some = leases.next().value; some !== undefined; some = leases.next().value)
    yield { ...last!, base: [], changes: [], leases: some };
}
