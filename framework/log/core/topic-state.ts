import type { LogStreamState } from './log-stream-state.ts';
import type { Retention } from './retention.ts';
import type { ConsumerState } from './topic-consumers.ts';

/** How many of a log stream's replicas must have a record on disk before it counts. */
export type Acknowledge = 'majority' | 'all';

/** Someone who still needs records of a topic: those after `position`. */
export interface Hold {
  readonly holder: string;
  readonly position: number;
}

/** Where a producer appends. */
export interface ProducerPlace {
  readonly id: number;
  readonly logStream: number;
}

/** The places of so many producers are remembered, of those that were opened last. */
export const PRODUCER_PLACES_MAX = 1_000;

export interface TopicState {
  readonly id: number;
  readonly acknowledge: Acknowledge;
  /** GLSN of the last record ordered; 0 for none. */
  highWatermark: number;
  /** Records up to this GLSN are removed. */
  trimmed: number;
  /** What is not to be trimmed without force, one for each holder; replaced as a whole. */
  holds: readonly Hold[];
  /** The last epoch that was given to a producer; 0: none was. */
  producerEpoch: number;
  /** In the order in which they were opened last; replaced as a whole. */
  producers: readonly ProducerPlace[];
  /** The last epoch that was given to a consumer; 0: none was. */
  consumerEpoch: number;
  /** Replaced as a whole. */
  consumers: readonly ConsumerState[];
  /** Replaced as a whole. */
  retention: Retention;
  /** The fencing token with which new log streams begin; 0: it was never fenced. Never falls. */
  fence: number;
  /** The highest fencing token that was drawn, or set anywhere in the topic. */
  newestToken: number;
  /** Ascending. */
  readonly logStreams: number[];
}

/** A topic that can be brought back as long as its nodes have its replicas in their trash. */
export type DeletedTopic = Omit<TopicState, 'logStreams'> & { logStreams: LogStreamState[] };

export function copyOfTopic(topic: TopicState): TopicState {
  return { ...topic, logStreams: [...topic.logStreams] };
}
