import type { ApplyContext } from '../state-machine.ts';

/** A claim that ends by itself, unless it is renewed (Gray and Cheriton, 1989). Times are the log's. */
export interface Lease {
  /** 1, 2, 3, … in the order of the grants. */
  readonly id: number;
  readonly ttlMs: number;
  /** Milliseconds since 1970. Nothing that is applied at this time or later finds the lease. */
  readonly expiresAt: number;
  /** The timer that ends it. */
  readonly timer: number;
}

/** What a snapshot keeps of a {@link LeaseTable}: plain data. */
export interface LeaseTableState {
  readonly granted: number;
  readonly leases: readonly Lease[];
}

/**
 * Leases, as a part of a machine's state. To be used in `apply`, and kept in the machine's snapshot. A lease ends by a
 * command of the machine, which is scheduled for its time and comes before anything else of that time: so all replicas
 * see it end at the same place, and while the log goes on none outlives its time.
 *
 * ```ts
 * class Rooms implements StateMachine<Command, boolean> {
 *   private readonly leases = new LeaseTable<Command>((lease) => ({ op: 'expire', lease }));
 *   apply(command: Command, context: ApplyContext<Command>) {
 *     if (command.op === 'expire') return this.leases.expire(command.lease, context);
 *     …
 * ```
 */
export class LeaseTable<Command> {
  private readonly expiry: (lease: number) => Command;
  private readonly leases = new Map<number, Lease>();
  private granted = 0;

  /** `expiry` makes the command of the machine that ends a lease: `apply` must pass it on to {@link expire}. */
  constructor(expiry: (lease: number) => Command) {
    this.expiry = expiry;
  }

  get size(): number {
    return this.leases.size;
  }

  get(id: number): Lease | undefined {
    return this.leases.get(id);
  }

  /**
   * Grants a lease for `ttlMs` from now on, a millisecond or more. `undefined` where that is no such number, or no more may
   * be scheduled: answer with a refusal.
   */
  grant(ttlMs: number, context: ApplyContext<Command>): Lease | undefined {
    // Whatever a command says comes this far, and what throws in `apply` stops every replica.
    if (!Number.isFinite(ttlMs) || ttlMs < 1) return undefined;
    return this.keep(this.granted + 1, ttlMs, context);
  }

  /** Has a lease end its `ttlMs` from now on. `undefined` where there is none, or no more: it has ended. */
  renew(id: number, context: ApplyContext<Command>): Lease | undefined {
    const lease = this.leases.get(id);
    if (lease === undefined) return undefined;
    context.cancel(lease.timer);
    const kept = this.keep(id, lease.ttlMs, context);
    // Without a timer it would never end. So it does now, where the command that ends it has become too large to wait.
    if (kept === undefined) this.leases.delete(id);
    return kept;
  }

  /** Ends a lease before its time. Whether there was one. */
  revoke(id: number, context: ApplyContext<Command>): boolean {
    const lease = this.leases.get(id);
    if (lease === undefined) return false;
    context.cancel(lease.timer);
    return this.leases.delete(id);
  }

  /** For the command that ends a lease. Whether it did: nothing but the lease's own timer does. */
  expire(id: number, context: ApplyContext<Command>): boolean {
    const lease = this.leases.get(id);
    return lease !== undefined && lease.timer === context.timer && this.leases.delete(id);
  }

  /** For the machine's `fork()`: another table with the same leases, as a copy. */
  fork(): LeaseTable<Command> {
    const fork = new LeaseTable<Command>(this.expiry);
    fork.restore(this.snapshot());
    return fork;
  }

  snapshot(): LeaseTableState {
    return { granted: this.granted, leases: [...this.leases.values()] };
  }

  restore({ granted, leases }: LeaseTableState): void {
    this.granted = granted;
    this.leases.clear();
    for (const lease of leases) this.leases.set(lease.id, lease);
  }

  private keep(id: number, ttlMs: number, context: ApplyContext<Command>): Lease | undefined {
    const expiresAt = context.time + ttlMs;
    const timer = context.schedule(expiresAt, this.expiry(id));
    if (timer === undefined) return undefined;
    const lease = { id, ttlMs, expiresAt, timer };
    this.granted = Math.max(this.granted, id);
    this.leases.set(id, lease);
    return lease;
  }
}
