import {
  Backoff,
  checkNames,
  type LogStreamId,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import {
  type FencedLogStream,
  FenceLogStreamRequest,
  FenceRequest,
  LogStreams,
  Ordering,
} from '../../wire/gen/log.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, type StepLimits, withinLimits } from './call-limit.ts';
import { checkWhole } from './checked-option.ts';
import type { ClientContext } from './client-context.ts';
import { checkToken } from './expectation.ts';
import { FENCE_NAMES } from './option-names.ts';

/** A primary that has not answered by then may be none any more: the metadata repository knows. */
const TRY_MS = 1_000;
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 200;

/** Which token is set, and where. */
export interface FenceOptions extends CallLimits {
  /** A whole number from 1, below 2^53. Default: one higher than all that the topic has had. */
  token?: number;
  /** Fences this log stream only. Default: all of the topic, also those that will be added to it. */
  logStream?: LogStreamId;
}

/** Does what {@link Topic.fence} says. */
export async function fenceTopic(
  context: ClientContext,
  topicId: TopicId,
  options: FenceOptions,
): Promise<number> {
  checkNames(options, FENCE_NAMES, 'fence');
  const { token: wanted, logStream, ...limits } = options;
  if (logStream !== undefined) checkWhole(logStream, 'logStream');
  if (wanted !== undefined) checkToken('token', wanted);
  const what = `fencing topic ${topicId}`;
  const { ports, lifetime } = context;
  const bounds = { timeoutMs: LOG_TIMES.callTimeoutMs, ...limits, what, lifetime };
  return withinLimits(ports.clock, bounds, async (limit) => {
    const token = wanted ?? (await drawToken(context, topicId, limit));
    const request = FenceRequest.create({ topicId, logStreamId: logStream ?? 0, token });
    const fencing = new Fencing(context, request, limit);
    try {
      await fencing.run();
    } catch (error) {
      throw limit.signal.aborted ? fencing.cutShort(limit.signal.reason) : error;
    }
    return token;
  });
}

function drawToken(
  { repository }: ClientContext,
  topicId: TopicId,
  limits: StepLimits,
): Promise<number> {
  const plan = { ...limits, what: `drawing a fencing token of topic ${topicId}` };
  return repository.command({ kind: 'drawFencingToken', topicId }, plan);
}

/**
 * First the metadata repository takes the token: every epoch that begins after that has it from the beginning. Then the primary
 * of each epoch that was open at that moment is told, and answers when all that it took before is ordered. Whose
 * epoch is over by then need not be told.
 */
class Fencing {
  private readonly context: ClientContext;
  private readonly request: FenceRequest;
  private readonly limit: StepLimits;
  /** Log streams that may still take appends with older tokens, as they were at first. */
  private open: readonly FencedLogStream[] = [];
  private lastFailure: unknown;

  constructor(context: ClientContext, request: FenceRequest, limit: StepLimits) {
    this.context = context;
    this.request = request;
    this.limit = limit;
  }

  async run(): Promise<void> {
    const { clock, random } = this.context.ports;
    const backoff = new Backoff(random, RETRY_MS_MIN, RETRY_MS_MAX);
    this.open = (await this.announce()).filter((it) => !it.sealed);
    for (;;) {
      await Promise.all(this.open.map((it) => this.tell(it)));
      if (this.open.length === 0) return;
      await backoff.pause(clock, this.limit.signal);
      const now = new Map((await this.announce()).map((it) => [it.logStreamId, it]));
      this.open = this.open.flatMap(({ logStreamId, epoch }) => {
        const it = now.get(logStreamId);
        return it === undefined || it.epoch !== epoch || it.sealed ? [] : [it];
      });
    }
  }

  /** It was ended by its caller or its time. */
  cutShort(reason: unknown): unknown {
    if (!VarlogError.is(reason, 'TIMEOUT') || this.open.length === 0) return reason;
    const { message: what, code, details } = reason;
    const ids = this.open.map((it) => it.logStreamId);
    return new VarlogError(code, {
      what,
      details: { ...details, logStreams: ids },
      cause: this.lastFailure ?? reason,
      outcome: 'unknown',
    });
  }

  /** Repeated at will: of a token that is set already, it asks only how the log streams are now. */
  private async announce(): Promise<FencedLogStream[]> {
    const plan = { ...this.limit, what: `fencing topic ${this.request.topicId}` };
    const { repository } = this.context;
    return (await repository.call(Ordering.Fence, this.request, plan)).logStreams;
  }

  private async tell(it: FencedLogStream): Promise<void> {
    const { topicId, token } = this.request;
    const { logStreamId, epoch, primary } = it;
    const request = FenceLogStreamRequest.create({ topicId, logStreamId, epoch, token });
    const options = { signal: this.limit.signal, timeoutMs: TRY_MS };
    try {
      await this.context.channels.to(primary).call(LogStreams.Fence, request, options);
      this.open = this.open.filter((other) => other !== it);
    } catch (error) {
      this.limit.signal.throwIfAborted();
      if (VarlogError.is(error, 'CONDITION_FAILED') || !VarlogError.is(error)) throw error;
      this.lastFailure = error;
    }
  }
}
