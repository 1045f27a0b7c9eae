import { checkNames, type TopicId } from '../../base/index.ts';
import { ConsumersRequest, Ordering } from '../../wire/gen/log.ts';
import {
  type ConsumerRegistry,
  checkConsumerName,
  type RegisteredConsumer,
} from '../consumer/index.ts';
import type { ConsumerBegin, MetadataCommand, ParkedRecord } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, checkCall, inSteps, withinLimits } from './call-limit.ts';
import type { ClientContext } from './client-context.ts';
import { consumerBegin } from './consumer-begin.ts';
import { ADD_CONSUMER_NAMES } from './option-names.ts';
import { chosenParked, type ParkedChoice } from './parked-choice.ts';
import { type AtTime, type From, isAtTime } from './position-option.ts';

/** A consumer as the cluster knows it, whether it runs or not. */
export interface ConsumerDescription {
  readonly name: string;
  /** How many lives it and others have had: the newest one has the highest. */
  readonly epoch: number;
  /** Everything up to here is done, but for what is parked. As of about a second ago, where it runs. */
  readonly position: number;
  /** Records from there to the tail. */
  readonly lag: number;
  /** What it has put aside, in order. */
  readonly parked: readonly ParkedRecord[];
}

/** The consumers of a topic, for those who look after them. Made by `topic.consumers`. */
export class TopicConsumers {
  private readonly context: ClientContext;
  private readonly topicId: TopicId;
  private readonly log: string;
  private readonly since: (from: AtTime, signal: AbortSignal) => Promise<number>;

  /** `since`: the position of the first record since a time. */
  constructor(
    context: ClientContext,
    topic: {
      readonly topicId: TopicId;
      readonly log: string;
      readonly since: (from: AtTime, signal: AbortSignal) => Promise<number>;
    },
  ) {
    this.context = context;
    this.topicId = topic.topicId;
    this.log = topic.log;
    this.since = topic.since;
  }

  /**
   * Registers a consumer before it runs for the first time: what comes behind `from` (default: `'start'`) is kept for it from now
   * on, and it begins there, whatever `from` it is started with. Rejects with `ALREADY_EXISTS`; with `TRIMMED`, `BEYOND_TAIL`
   * and `INVALID_ARGUMENT` for a place where it cannot begin; and with `FAILED_PRECONDITION` or `UNIMPLEMENTED` while members
   * are of an older version. Where the answer is lost it may be there: {@link list} tells.
   */
  async add(name: string, options: CallLimits & { from?: From } = {}): Promise<void> {
    checkNames(options, ADD_CONSUMER_NAMES, 'consumers.add');
    const { from = 'start', ...limits } = options;
    checkConsumerName(name);
    const { context, topicId } = this;
    const what = `adding consumer "${name}" to topic ${topicId}`;
    await inSteps(context.ports.clock, { ...limits, what }, async (own) => {
      const begin = await this.beginOf(from, own);
      await this.command({ kind: 'addConsumer', topicId, name, begin }, own);
    });
  }

  /** All of them, by name. Rejects with `TOPIC_NOT_FOUND`, and `UNIMPLEMENTED` by a version without consumers. */
  async list(limits: CallLimits = {}): Promise<readonly ConsumerDescription[]> {
    checkCall(limits, 'consumers.list');
    const { consumers, last } = await this.ask({}, limits);
    return consumers.map(({ name, epoch, position, parked }) => {
      return { name, epoch, position, lag: last - position, parked };
    });
  }

  /**
   * Has records that were parked given to the consumer once more: those at `glsns`, or all. It does so where it runs,
   * within about a second, or when it is started. Resolves with how many. `NOT_FOUND` for one that is not there,
   * `INVALID_ARGUMENT` for an empty list.
   */
  async replay(
    name: string,
    glsns: ParkedChoice = 'all',
    limits: CallLimits = {},
  ): Promise<number> {
    checkCall(limits, 'consumers.replay');
    const decision = { topicId: this.topicId, name, glsns: chosenParked(glsns), drop: false };
    return this.command({ kind: 'decideParked', ...decision }, limits);
  }

  /** As {@link replay}, but they are given up. */
  async drop(name: string, glsns: ParkedChoice = 'all', limits: CallLimits = {}): Promise<number> {
    checkCall(limits, 'consumers.drop');
    const decision = { topicId: this.topicId, name, glsns: chosenParked(glsns), drop: true };
    return this.command({ kind: 'decideParked', ...decision }, limits);
  }

  /**
   * Forgets a consumer, with what it has parked: records are no longer kept for it, and where it runs, it stops. A
   * checkpoint that it keeps elsewhere stays. `NOT_FOUND` when there is none of that name.
   */
  async remove(name: string, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'consumers.remove');
    await this.command({ kind: 'removeConsumer', topicId: this.topicId, name }, limits);
  }

  /** For the consumers themselves. */
  get registry(): ConsumerRegistry {
    const { topicId } = this;
    return {
      log: this.log,
      open: (life, limits) => this.command({ kind: 'openConsumer', topicId, ...life }, limits),
      advance: async (step, limits) => {
        await this.command({ kind: 'advanceConsumer', topicId, ...step }, limits);
      },
      look: async (name, { due = false, ...limits }) => {
        const { consumers, last } = await this.ask({ name, due }, limits);
        return { consumer: consumers[0], last };
      },
    };
  }

  /** Behind which position it begins. */
  private async beginOf(from: From, limits: CallLimits): Promise<ConsumerBegin> {
    const { context, topicId } = this;
    const begin = consumerBegin(from, context.channels.cluster!, topicId);
    if (!isAtTime(begin)) return begin;
    const what = `looking for the records of topic ${topicId} since a time`;
    const first = withinLimits(
      context.ports.clock,
      { timeoutMs: LOG_TIMES.callTimeoutMs, ...limits, what },
      ({ signal }) => this.since(begin, signal),
    );
    return (await first) - 1;
  }

  private command(command: MetadataCommand, limits: CallLimits): Promise<number> {
    const name = 'name' in command ? ` "${command.name}"` : '';
    const what = `a command of consumer${name} of topic ${this.topicId}`;
    // What consumers say of themselves is numbered; the rest would be refused the second time.
    const idempotent = command.kind === 'openConsumer' || command.kind === 'advanceConsumer';
    return this.context.repository.command(command, { ...limits, what, idempotent });
  }

  private async ask(
    { name = '', due = false }: { name?: string; due?: boolean },
    limits: CallLimits,
  ): Promise<{ consumers: readonly RegisteredConsumer[]; last: number }> {
    const request = ConsumersRequest.create({ topicId: this.topicId, name, due });
    const what = `asking for the consumers of topic ${this.topicId}`;
    const { repository } = this.context;
    const found = await repository.call(Ordering.Consumers, request, { ...limits, what });
    return {
      last: found.glsn,
      consumers: found.consumers.map(
        ({ name: named, epoch, began, position, parkedCount, parked }) => ({
          name: named,
          epoch,
          began,
          position,
          parkedCount,
          parked: parked.map(({ glsn, attempts, cause, at, replay }) => {
            return { glsn, attempts, cause, at, replay };
          }),
        }),
      ),
    };
  }
}
