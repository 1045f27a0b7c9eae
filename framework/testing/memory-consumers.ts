import { checkNames, type TopicId, VarlogError } from '../base/index.ts';
import { consumerBegin } from '../log/client/consumer-begin.ts';
import { ADD_CONSUMER_NAMES } from '../log/client/option-names.ts';
import { chosenParked, type ParkedChoice } from '../log/client/parked-choice.ts';
import { type AtTime, type From, isAtTime } from '../log/client/position-option.ts';
import { type ConsumerRegistry, checkConsumerName } from '../log/consumer/index.ts';
import {
  addConsumerOf,
  advanceConsumerOf,
  decideParkedOf,
  neededBehind,
  openConsumerOf,
  type ParkedRecord,
  type Refusal,
  removeConsumerOf,
  type TopicConsumersState,
} from '../log/core/index.ts';

/** A log that has consumers. */
interface Extent {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  /** Throws `UNAVAILABLE` while nobody reaches it. */
  checkConnected(): void;
  /** The position of the first record since a time. */
  since(from: AtTime): number;
}

/** The consumers of a log in memory, as `topic.consumers` has those of a topic. */
export class MemoryConsumers {
  private readonly state: TopicConsumersState;
  private readonly extent: Extent;

  constructor(extent: Extent) {
    this.extent = extent;
    this.state = {
      id: 1,
      get highWatermark() {
        return extent.last;
      },
      get trimmed() {
        return extent.first - 1;
      },
      consumerEpoch: 0,
      consumers: [],
    };
  }

  /** They need the records behind this position: Infinity where none does. */
  get neededBehind(): number {
    return Math.min(...this.state.consumers.map(neededBehind));
  }

  /** All of them, by name. */
  async list(): Promise<
    readonly {
      readonly name: string;
      readonly epoch: number;
      readonly position: number;
      readonly lag: number;
      readonly parked: readonly ParkedRecord[];
    }[]
  > {
    return this.state.consumers.map(({ name, epoch, position, parked }) => {
      return { name, epoch, position, lag: this.extent.last - position, parked };
    });
  }

  /** Registers a consumer before it runs for the first time: what comes behind `from` is kept for it from now on. */
  async add(name: string, options: { from?: From } = {}): Promise<void> {
    checkNames(options, ADD_CONSUMER_NAMES, 'consumers.add');
    const { from = 'start' } = options;
    checkConsumerName(name);
    this.extent.checkConnected();
    const begin = consumerBegin(from, this.extent.name, this.state.id as TopicId);
    const behind = isAtTime(begin) ? this.extent.since(begin) - 1 : begin;
    answer(addConsumerOf(this.state, { name, begin: behind }));
  }

  /** Has records that were parked given to the consumer once more: those at `glsns`, or all. */
  async replay(name: string, glsns: ParkedChoice = 'all'): Promise<number> {
    return answer(decideParkedOf(this.state, { name, glsns: chosenParked(glsns), drop: false }));
  }

  /** As {@link replay}, but they are given up. */
  async drop(name: string, glsns: ParkedChoice = 'all'): Promise<number> {
    return answer(decideParkedOf(this.state, { name, glsns: chosenParked(glsns), drop: true }));
  }

  /** Forgets a consumer; where it runs, it stops. */
  async remove(name: string): Promise<void> {
    answer(removeConsumerOf(this.state, name));
  }

  /** For the consumers themselves. */
  get registry(): ConsumerRegistry {
    const { extent, state } = this;
    return {
      log: extent.name,
      open: async (life) => {
        extent.checkConnected();
        return answer(openConsumerOf(state, life));
      },
      advance: async (step) => {
        extent.checkConnected();
        answer(advanceConsumerOf(state, step));
      },
      look: async (name, { due = false }) => {
        extent.checkConnected();
        const found = state.consumers.find((it) => it.name === name);
        const parked = found?.parked.filter(({ replay }) => replay || !due) ?? [];
        const consumer = found && { ...found, parkedCount: found.parked.length, parked };
        return { consumer, last: extent.last };
      },
    };
  }
}

function answer(result: number | Refusal | undefined): number {
  if (typeof result !== 'object') return result ?? 0;
  throw new VarlogError(result.code, { what: result.what, next: result.next });
}
