import { type LogCallOptions, SequenceMap, VarlogError, Waiter } from '../base/index.ts';
import { TailRequest } from '../wire/gen/raft.ts';
import type { RaftDriver } from './driver.ts';
import type { TurnOutcome, TurnPart } from './turn-part.ts';

class Waiting extends Waiter<number> {
  readonly deadline: number;

  constructor(deadline: number, signal: AbortSignal | undefined) {
    super(signal);
    this.deadline = deadline;
  }
}

/**
 * Linearizable reads of the tail: all that gather while one question is under way share the next
 * one, at the leader as one read round, elsewhere as one call to the leader.
 */
export class TailReads implements TurnPart {
  private readonly driver: RaftDriver;
  private readonly defaultTimeoutMs: number;
  private gathered: Waiting[] = [];
  private readonly asked = new SequenceMap<readonly Waiting[]>();
  /** Those for whom the leader is being asked. */
  private called: readonly Waiting[] = [];
  private refused = false;

  constructor(driver: RaftDriver, options: { timeoutMs: number }) {
    this.driver = driver;
    this.defaultTimeoutMs = options.timeoutMs;
  }

  /** The last committed index, confirmed by a majority after this call began. */
  ask(options: LogCallOptions = {}): Promise<number> {
    const deadline = this.now() + (options.timeoutMs ?? this.defaultTimeoutMs);
    const waiting = new Waiting(deadline, options.signal);
    this.gathered.push(waiting);
    this.driver.schedule();
    return waiting.promise;
  }

  /** Asks for what has gathered. */
  beforeTurn(): void {
    if (this.gathered.length === 0) return;
    const { raft, leader } = this.driver;
    if (raft.role === 'leader') {
      raft.readIndex(this.asked.add(this.takeGathered()));
    } else if (leader !== undefined && this.called.length === 0 && !this.refused) {
      void this.call(leader.id, this.takeGathered());
    }
  }

  afterTurn({ reads, droppedReads: dropped }: TurnOutcome): void {
    for (const { context, index } of reads) {
      for (const waiting of this.asked.get(context) ?? []) waiting.resolve(index);
      this.asked.delete(context);
    }
    for (const context of dropped) {
      this.gathered.push(...(this.asked.get(context) ?? []));
      this.asked.delete(context);
    }
    if (dropped.length > 0) this.driver.schedule();
  }

  /** Whether there is anything that was not settled yet. */
  get isWaiting(): boolean {
    return this.gathered.length > 0 || this.asked.size > 0 || this.called.length > 0;
  }

  /** Fails what has waited for too long. Returns whether anything waits to be asked. */
  onTick(): boolean {
    this.refused = false;
    const now = this.now();
    const late = (it: Waiting): boolean => {
      if (it.deadline <= now) it.reject(this.unavailable());
      return it.settled;
    };
    if (this.gathered.length > 0) this.gathered = this.gathered.filter((it) => !late(it));
    for (const waiting of this.asked.values()) for (const it of waiting) late(it);
    for (const it of this.called) late(it);
    return this.gathered.length > 0;
  }

  stop(error: VarlogError): void {
    for (const waiting of this.takeGathered()) waiting.reject(error);
    for (const asked of this.asked.values()) for (const it of asked) it.reject(error);
    this.asked.clear();
    for (const it of this.called) it.reject(error);
  }

  private async call(leader: number, waiting: readonly Waiting[]): Promise<void> {
    const { driver } = this;
    let deadline = 0;
    for (const it of waiting) deadline = Math.max(deadline, it.deadline);
    const timeoutMs = Math.min(Math.max(1, Math.ceil(deadline - this.now())), 2 ** 31);
    this.called = waiting;
    try {
      const channel = driver.channelTo(leader);
      if (channel === undefined) throw this.unavailable();
      const request = TailRequest.create({ timeoutMs, identity: driver.raft.log.identity });
      const to = [leader, channel] as const;
      const { tail } = driver.options.methods;
      const { index } = await driver.calls.call(to, tail, request, { timeoutMs });
      for (const it of waiting) it.resolve(index);
    } catch {
      // A read has no effect: it is asked again until its time is up.
      this.gathered.push(...waiting.filter((it) => !it.settled));
      this.refused = true;
    } finally {
      this.called = [];
      driver.schedule();
    }
  }

  private takeGathered(): Waiting[] {
    const gathered = this.gathered;
    this.gathered = [];
    return gathered;
  }

  private now(): number {
    return this.driver.options.ports.clock.now();
  }

  private unavailable(): VarlogError {
    return new VarlogError('UNAVAILABLE', {
      what: `no leader of Raft group "${this.driver.options.groupId}" confirmed the tail in time`,
      next: 'check that a majority of its members is up and connected',
    });
  }
}
