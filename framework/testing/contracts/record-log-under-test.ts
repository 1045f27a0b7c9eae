import type { RecordLog, TopicConsumers, TopicOptions } from '../../log/index.ts';
import type { Closable } from './contract.ts';

/** An empty log of records, what trims it, and what ends it. */
export interface RecordLogUnderTest extends Closable {
  readonly log: RecordLog;
  /** Two of its log streams. */
  readonly logStreams: readonly [number, number];
  /** The same log through a codec. */
  as<T, In>(options: TopicOptions<T, In>): RecordLog<T, In>;
  /** Those who look after its consumers: `topic.consumers`, or what stands for it. */
  readonly consumers: Pick<TopicConsumers, 'add' | 'list'>;
  /**
   * Removes all records up to and including `position`, without force: what a consumer holds is refused with
   * `FAILED_PRECONDITION`, or kept.
   */
  trim(position: number): Promise<void>;
}
