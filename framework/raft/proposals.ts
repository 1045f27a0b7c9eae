import {
  BATCH_BYTES_MAX,
  type Batch,
  type LogCallOptions,
  type Outcome,
  ownBytes,
  reasonOf,
  SequenceMap,
  VarlogError,
  Waiter,
} from '../base/index.ts';
import { ProposeRequest } from '../wire/gen/raft.ts';
import type { RaftDriver } from './driver.ts';
import { RAFT_TIMES } from './timing.ts';
import type { TurnPart } from './turn-part.ts';

/** One that is settled before its time was given up by its caller: what becomes of it interests nobody. */
class Proposal extends Waiter<number> {
  readonly batch: Batch;
  readonly deadline: number;

  constructor(batch: Batch, deadline: number, signal: AbortSignal | undefined) {
    super(signal);
    this.batch = batch;
    this.deadline = deadline;
  }
}

/** Proposals that travel as one batch. */
interface InFlight {
  readonly proposals: readonly Proposal[];
  readonly index: number;
  readonly term: number;
  readonly count: number;
}

/** Batches that are proposed and not committed: more gather meanwhile into larger ones. */
const BATCHES_MAX = 4;
const FORWARDS_MAX = 4;

/**
 * Appends on their way: gathered, proposed here or passed on to the leader, and answered when they
 * are committed, or when it is known what becomes of them.
 */
export class Proposals implements TurnPart {
  private readonly driver: RaftDriver;
  private readonly forward: boolean;
  private readonly queuedBytesMax: number;
  private readonly defaultTimeoutMs: number;
  private queue: Proposal[] = [];
  /** Bytes of appends that wait to be proposed or passed on. */
  queuedBytes = 0;
  private inFlight: InFlight[] = [];
  private readonly forwarding = new SequenceMap<readonly Proposal[]>();
  /** After a refusal the next try waits for a tick. */
  private refused = false;

  constructor(
    driver: RaftDriver,
    options: { forward: boolean; queuedBytesMax: number; timeoutMs: number },
  ) {
    this.driver = driver;
    this.forward = options.forward;
    this.queuedBytesMax = options.queuedBytesMax;
    this.defaultTimeoutMs = options.timeoutMs;
  }

  /** Appends a batch; resolves with the index of its first entry. `local`: never passed on. */
  append(batch: Batch, options: LogCallOptions = {}, local = false): Promise<number> {
    const { raft, handover } = this.driver;
    if (raft.role !== 'leader' && (local || !this.forward)) return Promise.reject(this.notLeader());
    if (raft.role === 'leader' && handover.refusal !== undefined) {
      return Promise.reject(handover.refusal);
    }
    if (this.queuedBytes > 0 && this.queuedBytes + batch.bytes.length > this.queuedBytesMax) {
      return Promise.reject(
        new VarlogError('RESOURCE_EXHAUSTED', {
          what: `${this.queuedBytes} bytes already wait to be appended`,
          because: 'appends arrive faster than the group commits them, or it has no leader',
          next: 'append less at a time, or try again later',
          outcome: 'notAppended',
        }),
      );
    }
    const deadline = this.now() + (options.timeoutMs ?? this.defaultTimeoutMs);
    const proposal = new Proposal(batch, deadline, options.signal);
    this.queue.push(proposal);
    this.queuedBytes += batch.bytes.length;
    this.driver.schedule();
    return proposal.promise;
  }

  /** Proposes or passes on what has gathered. */
  beforeTurn(): void {
    const { raft } = this.driver;
    if (this.queue.length === 0) return;
    if (raft.role === 'leader') {
      const { refusal, mayPropose } = this.driver.handover;
      if (refusal !== undefined) for (const it of this.takeAll()) it.reject(refusal);
      if (!mayPropose) return;
      while (this.queue.length > 0 && this.inFlight.length < BATCHES_MAX) {
        if (!this.propose()) break;
      }
      return;
    }
    if (!this.forward) {
      for (const proposal of this.takeAll()) proposal.reject(this.notLeader());
      return;
    }
    const leader = this.driver.leader;
    if (leader === undefined || this.refused) return;
    while (this.queue.length > 0 && this.forwarding.size < FORWARDS_MAX) {
      void this.passOn(this.gather(), leader.id);
    }
  }

  onCommit(): void {
    this.decided();
  }

  afterTurn(): void {
    this.decided();
  }

  /** Answers what has been decided. */
  private decided(): void {
    const { log } = this.driver.raft;
    if (this.inFlight.length === 0) return;
    const commitTerm = log.termAt(log.commit) ?? 0;
    let open = 0;
    for (const sent of this.inFlight) {
      if (log.commit >= sent.index + sent.count - 1) {
        const term = log.termAt(sent.index);
        if (term === sent.term) this.succeed(sent.proposals, sent.index);
        else if (term === undefined)
          this.failAll(sent.proposals, unknown('a snapshot replaced the log'));
        else this.failAll(sent.proposals, overwritten());
      } else if (commitTerm > sent.term) {
        // Terms grow along the log: behind a committed entry of a later term there is none of this one.
        this.failAll(sent.proposals, overwritten());
      } else this.inFlight[open++] = sent;
    }
    if (open === this.inFlight.length) return;
    this.inFlight.length = open;
    if (this.queue.length > 0) this.driver.schedule();
  }

  /** Whether there is anything that was not settled yet. */
  get isWaiting(): boolean {
    return this.queue.length > 0 || this.inFlight.length > 0 || this.forwarding.size > 0;
  }

  /** Fails what has waited for too long. Returns whether anything waits to be proposed. */
  onTick(): boolean {
    this.refused = false;
    const now = this.now();
    if (this.queue.some((it) => it.settled || it.deadline <= now)) {
      this.queue = this.queue.filter((proposal) => {
        if (!proposal.settled && proposal.deadline > now) return true;
        this.queuedBytes -= proposal.batch.bytes.length;
        proposal.reject(this.unavailable());
        return false;
      });
    }
    for (const { proposals } of this.inFlight) {
      for (const it of proposals) if (it.deadline <= now) it.reject(unknown('the time is up'));
    }
    for (const proposals of this.forwarding.values()) {
      for (const it of proposals) if (it.deadline <= now) it.reject(unknown('the time is up'));
    }
    return this.queue.length > 0;
  }

  /** Fails everything: the member stops. */
  stop(error: VarlogError): void {
    const failure = (outcome: Outcome): VarlogError =>
      new VarlogError(error.code, { what: error.message, outcome, cause: error });
    for (const proposal of this.takeAll()) proposal.reject(failure('notAppended'));
    for (const { proposals } of this.inFlight) this.failAll(proposals, failure('unknown'));
    for (const proposals of this.forwarding.values()) this.failAll(proposals, failure('unknown'));
    this.inFlight = [];
  }

  /** The gathered proposals that fit into one batch: at least one. */
  private gather(): Proposal[] {
    let bytes = 0;
    let taken = 0;
    while (taken < this.queue.length) {
      bytes += this.queue[taken]!.batch.bytes.length;
      if (taken > 0 && bytes > BATCH_BYTES_MAX) break;
      taken++;
    }
    const gathered = taken === this.queue.length ? this.queue : this.queue.slice(0, taken);
    this.queue = taken === this.queue.length ? [] : this.queue.slice(taken);
    for (const { batch } of gathered) this.queuedBytes -= batch.bytes.length;
    return gathered.filter((it) => !it.settled);
  }

  private propose(): boolean {
    const { raft } = this.driver;
    const proposals = this.gather();
    if (proposals.length === 0) return true;
    const { bytes, count } = concat(proposals);
    const index = raft.propose(bytes, count);
    if (typeof index === 'number') {
      this.inFlight.push({ proposals, index, term: raft.term, count });
      return true;
    }
    this.putBack(proposals);
    return false;
  }

  private async passOn(proposals: Proposal[], leader: number): Promise<void> {
    if (proposals.length === 0) return;
    const channel = this.driver.channelTo(leader);
    if (channel === undefined) {
      this.putBack(proposals);
      this.refused = true;
      return;
    }
    const { methods } = this.driver.options;
    let deadline = 0;
    for (const proposal of proposals) deadline = Math.max(deadline, proposal.deadline);
    const timeoutMs = Math.min(Math.max(1, Math.ceil(deadline - this.now())), 2 ** 31);
    const { bytes, count } = concat(proposals);
    const key = this.forwarding.add(proposals);
    try {
      const { identity } = this.driver.raft.log;
      const request = ProposeRequest.create({ count, payload: bytes, timeoutMs, identity });
      const options = { timeoutMs, graceTicks: RAFT_TIMES.graceTicks };
      const to = [leader, channel] as const;
      const { index } = await this.driver.calls.call(to, methods.propose, request, options);
      this.succeed(proposals, index);
    } catch (error) {
      this.refusedByLeader(proposals, error);
    } finally {
      this.forwarding.delete(key);
      this.driver.schedule();
    }
  }

  private refusedByLeader(proposals: readonly Proposal[], error: unknown): void {
    const known = VarlogError.is(error) ? error : undefined;
    const never = known?.code === 'UNREACHABLE' || known?.outcome === 'notAppended';
    if (never && known.retryable) {
      this.refused = true;
      this.putBack(proposals.filter((it) => !it.settled));
    } else if (never) {
      this.failAll(proposals, known);
    } else this.failAll(proposals, unknown(reasonOf(error), error));
  }

  private putBack(proposals: readonly Proposal[]): void {
    this.queue = [...proposals, ...this.queue];
    for (const { batch } of proposals) this.queuedBytes += batch.bytes.length;
  }

  private takeAll(): Proposal[] {
    const all = this.queue;
    this.queue = [];
    this.queuedBytes = 0;
    return all;
  }

  private succeed(proposals: readonly Proposal[], index: number): void {
    let next = index;
    for (const proposal of proposals) {
      proposal.resolve(next);
      next += proposal.batch.count;
    }
  }

  private failAll(proposals: readonly Proposal[], error: unknown): void {
    for (const proposal of proposals) proposal.reject(error);
  }

  private now(): number {
    return this.driver.options.ports.clock.now();
  }

  private notLeader(): VarlogError {
    const { leader } = this.driver;
    return new VarlogError('NOT_LEADER', {
      what: `member ${this.driver.raft.id} does not lead group "${this.driver.options.groupId}"`,
      next: leader === undefined ? 'try again when a leader is elected' : `ask ${leader.address}`,
      outcome: 'notAppended',
      details: leader === undefined ? {} : { leader: leader.address },
    });
  }

  private unavailable(): VarlogError {
    return new VarlogError('UNAVAILABLE', {
      what: `Raft group "${this.driver.options.groupId}" could not take the append in time`,
      because: this.driver.leader === undefined ? 'it has no leader' : 'its leader is busy',
      next: 'check that a majority of its members is up and connected',
      outcome: 'notAppended',
    });
  }
}

/** One batch of all: framed records side by side are a batch again. */
function concat(proposals: readonly Proposal[]): Batch {
  const first = proposals[0]!;
  if (proposals.length === 1) {
    return { count: first.batch.count, bytes: ownBytes(first.batch.bytes) };
  }
  let size = 0;
  let count = 0;
  for (const { batch } of proposals) {
    size += batch.bytes.length;
    count += batch.count;
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const { batch } of proposals) {
    bytes.set(batch.bytes, offset);
    offset += batch.bytes.length;
  }
  return { count, bytes };
}

function unknown(because: string, cause?: unknown): VarlogError {
  return new VarlogError('APPEND_UNKNOWN', {
    what: 'the append was passed on and not confirmed',
    because,
    next: 'look for it before you repeat it, or append through a session',
    outcome: 'unknown',
    cause,
  });
}

function overwritten(): VarlogError {
  return new VarlogError('NOT_LEADER', {
    what: 'another leader was elected before the append was committed',
    next: 'append again',
    outcome: 'notAppended',
  });
}
