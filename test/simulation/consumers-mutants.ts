import { ConsumerLife } from '../../framework/log/consumer/consumer-life.ts';
import { ConsumerWork } from '../../framework/log/consumer/consumer-work.ts';
import { Watermark } from '../../framework/log/consumer/watermark.ts';
import { addConsumer, openConsumer, trim } from '../../framework/log/core/commands/index.ts';
import type { ConsumerState, TopicState } from '../../framework/log/core/index.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** What a life keeps to itself. */
interface Inside {
  advance(
    step: object,
    limits: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<void>;
}

const inside = (life: ConsumerLife): Inside => life as unknown as Inside;

/** Ways to lose a record, or to do one twice or too early: each breaks it for everybody until what it returns is called. */
export const CONSUMERS_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'the checkpoint passes a record that is not done': () => {
    const before = Object.getOwnPropertyDescriptor(Watermark.prototype, 'position')!;
    Object.defineProperty(Watermark.prototype, 'position', {
      configurable: true,
      get(this: { newest: number }) {
        return this.newest;
      },
    });
    return () => Object.defineProperty(Watermark.prototype, 'position', before);
  },
  'keys are not looked at': () => {
    const prototype = ConsumerWork.prototype as unknown as { laneOf(): unknown };
    return replace(prototype, 'laneOf', () => undefined);
  },
  'the store passes a parked record before the cluster knows of it': () =>
    replace(ConsumerLife.prototype, 'park', async function (this: ConsumerLife, record, limits) {
      await this.passParked(record.glsn);
      await inside(this).advance({ parked: [{ ...record, replay: false }] }, limits);
    }),
  'a parked record is noted nowhere': () =>
    replace(ConsumerLife.prototype, 'park', async function (this: ConsumerLife, { glsn }) {
      await this.passParked(glsn);
    }),
  'a later life has the epoch of the one before': () => {
    const { apply } = openConsumer;
    return replace(openConsumer, 'apply', (state, command) =>
      apply(state, { ...command, owner: 'everybody' }),
    );
  },
  'a consumer holds nothing': () => {
    const { apply } = trim;
    return replace(trim, 'apply', (state, command) => apply(state, { ...command, force: true }));
  },
  'one that was added holds nothing until it runs': () => {
    const { apply } = trim;
    return replace(trim, 'apply', (state, command) => {
      const topic = state.topics.get(command.topicId);
      if (topic === undefined) return apply(state, command);
      const { consumers } = topic;
      topic.consumers = consumers.filter(({ owner }) => owner !== '');
      const result = apply(state, command);
      topic.consumers = consumers;
      return result;
    });
  },
  'to add one that is there moves it': () =>
    changedByAdding((it, topic) => ({ ...it, position: topic.highWatermark })),
  'to add one that runs fences it': () =>
    changedByAdding((it, topic) => ({ ...it, owner: '', epoch: ++topic.consumerEpoch })),
};

/** What is there of a consumer is changed when somebody adds it once more; he is refused all the same. */
function changedByAdding(change: (it: ConsumerState, topic: TopicState) => ConsumerState) {
  const { apply } = addConsumer;
  return replace(addConsumer, 'apply', (state, command) => {
    const topic = state.topics.get(command.topicId);
    if (topic !== undefined)
      topic.consumers = topic.consumers.map((it) =>
        it.name === command.name ? change(it, topic) : it,
      );
    return apply(state, command);
  });
}
