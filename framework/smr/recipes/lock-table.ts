import type { ApplyContext } from '../state-machine.ts';
import { LeaseTable, type LeaseTableState } from './lease-table.ts';

/** A lock as it is held. */
export interface Lock {
  readonly name: string;
  /** What its holder calls itself: for people. */
  readonly owner: string;
  /** Grows with each grant, over all locks of the table: a resource that has seen a larger one refuses it. */
  readonly token: number;
  /** Milliseconds since 1970, by the log's time. */
  readonly expiresAt: number;
}

/** What is asked of a {@link LockTable}: plain data, a part of the commands of its machine. */
export type LockCommand =
  | {
      readonly op: 'acquire';
      readonly name: string;
      readonly owner: string;
      /** Without a renewal it is free again after so long: a millisecond or more. */
      readonly ttlMs: number;
    }
  | { readonly op: 'renew' | 'release'; readonly name: string; readonly token: number }
  | { readonly op: 'expire'; readonly lease: number };

/**
 * `lock`: as it is held now, by whomever. Refusals: `HELD` by somebody; `NOT_HELD` by this token, any more; `NO_ROOM` for a
 * lock, or its `ttlMs` is no such number.
 */
export type LockResult =
  | { readonly done: true; readonly lock: Lock | null }
  | {
      readonly done: false;
      readonly refusal: 'HELD' | 'NOT_HELD' | 'NO_ROOM';
      readonly lock: Lock | null;
    };

/** A lock whose lease has its token for an id. */
type HeldLock = Omit<Lock, 'expiresAt'>;

/** What a snapshot keeps of a {@link LockTable}: plain data. */
export interface LockTableState {
  readonly leases: LeaseTableState;
  readonly locks: readonly HeldLock[];
}

/**
 * Locks by name, as a part of a machine's state: each is held for a lease, by one holder, under a fencing token.
 *
 * A holder may be slow: when it comes to use what the lock guards, its lease may have ended and another one may hold the
 * lock, and no lock service can prevent that. So **the resource must check**: it is given the token with each request,
 * keeps the largest that it has seen, and refuses what carries a smaller one. Where it cannot, the lock only makes it
 * unlikely that two are at work at once.
 */
export class LockTable<Command> {
  private readonly wrap: (command: LockCommand) => Command;
  private readonly leases: LeaseTable<Command>;
  private readonly byName = new Map<string, HeldLock>();
  private readonly names = new Map<number, string>();

  /** `wrap` makes a command of the machine, which `apply` must pass on to {@link apply}. */
  constructor(wrap: (command: LockCommand) => Command) {
    this.wrap = wrap;
    this.leases = new LeaseTable((lease) => wrap({ op: 'expire', lease }));
  }

  /** `undefined` where it is free. */
  get(name: string): Lock | undefined {
    const held = this.byName.get(name);
    const lease = held && this.leases.get(held.token);
    return lease && { ...held, expiresAt: lease.expiresAt };
  }

  apply(command: LockCommand, context: ApplyContext<Command>): LockResult {
    switch (command.op) {
      case 'acquire':
        return this.acquire(command, context);
      case 'expire':
        return this.expire(command.lease, context);
      default:
        return this.change(command, context);
    }
  }

  /** For the machine's `fork()`: another table with the same locks, as a copy. */
  fork(): LockTable<Command> {
    const fork = new LockTable<Command>(this.wrap);
    fork.restore(this.snapshot());
    return fork;
  }

  snapshot(): LockTableState {
    return { leases: this.leases.snapshot(), locks: [...this.byName.values()] };
  }

  restore({ leases, locks }: LockTableState): void {
    this.leases.restore(leases);
    this.byName.clear();
    this.names.clear();
    for (const lock of locks) this.hold(lock);
  }

  private acquire(
    { name, owner, ttlMs }: LockCommand & { op: 'acquire' },
    context: ApplyContext<Command>,
  ): LockResult {
    if (this.byName.has(name)) return this.refused('HELD', name);
    const lease = this.leases.grant(ttlMs, context);
    if (lease === undefined) return this.refused('NO_ROOM', name);
    this.hold({ name, owner, token: lease.id });
    return this.done(name);
  }

  private change(
    { op, name, token }: LockCommand & { op: 'renew' | 'release' },
    context: ApplyContext<Command>,
  ): LockResult {
    const held = this.byName.get(name);
    if (held?.token !== token) return this.refused('NOT_HELD', name);
    if (op === 'renew') {
      if (this.leases.renew(token, context) !== undefined) return this.done(name);
      this.free(held);
      return this.refused('NOT_HELD', name);
    }
    this.leases.revoke(token, context);
    this.free(held);
    return this.done(name);
  }

  private expire(lease: number, context: ApplyContext<Command>): LockResult {
    const name = this.names.get(lease) ?? '';
    const held = this.byName.get(name);
    if (held === undefined || !this.leases.expire(lease, context))
      return this.refused('NOT_HELD', name);
    this.free(held);
    return this.done(name);
  }

  private hold(lock: HeldLock): void {
    this.byName.set(lock.name, lock);
    this.names.set(lock.token, lock.name);
  }

  private free({ name, token }: HeldLock): void {
    this.byName.delete(name);
    this.names.delete(token);
  }

  private done(name: string): LockResult {
    return { done: true, lock: this.get(name) ?? null };
  }

  private refused(refusal: 'HELD' | 'NOT_HELD' | 'NO_ROOM', name: string): LockResult {
    return { done: false, refusal, lock: this.get(name) ?? null };
  }
}
