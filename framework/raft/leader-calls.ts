import {
  type CallOptions,
  type Channel,
  onAbort,
  type UnaryMethod,
  VarlogError,
} from '../base/index.ts';

interface Call {
  readonly leader: number;
  /** It is given up when another member has led for so many ticks. */
  graceTicks: number;
  readonly abort: AbortController;
}

/**
 * What members ask of the leader. A leader that hangs answers nothing and breaks no connection: its calls are given up
 * as soon as another one leads, long before their time is up.
 */
export class LeaderCalls {
  private readonly leaderOf: () => number;
  private readonly open = new Set<Call>();
  private stopped: VarlogError | undefined;

  /** `leaderOf` tells who leads as far as known, 0 for unknown. */
  constructor(leaderOf: () => number) {
    this.leaderOf = leaderOf;
  }

  /**
   * As {@link Channel.call}; rejects with `NOT_LEADER` without an outcome when it was given up. Who hands leadership
   * over still answers what is under way: `graceTicks` leaves it the time for that.
   */
  async call<Request, Response>(
    [leader, channel]: readonly [leader: number, channel: Channel],
    method: UnaryMethod<Request, Response>,
    request: Request,
    { timeoutMs, signal, graceTicks = 0 }: CallOptions & { graceTicks?: number },
  ): Promise<Response> {
    if (this.stopped !== undefined) throw this.stopped;
    const call = { leader, graceTicks, abort: new AbortController() };
    const forget = onAbort(signal, () => call.abort.abort(signal?.reason));
    this.open.add(call);
    try {
      const options = { signal: call.abort.signal, ...(timeoutMs && { timeoutMs }) };
      return await channel.call(method, request, options);
    } finally {
      forget();
      this.open.delete(call);
    }
  }

  get isWaiting(): boolean {
    return this.open.size > 0;
  }

  /** A tick passed. */
  tick(): void {
    const leader = this.leaderOf();
    if (leader === 0) return;
    for (const call of this.open) {
      if (call.leader === leader || call.graceTicks-- > 0) continue;
      call.abort.abort(deposed(call.leader));
    }
  }

  stop(error: VarlogError): void {
    this.stopped = error;
    for (const { abort } of this.open) abort.abort(error);
  }
}

function deposed(leader: number): VarlogError {
  return new VarlogError('NOT_LEADER', {
    what: `member ${leader} did not answer before another one was elected`,
  });
}
