import type { LogStreamState } from './log-stream-state.ts';
import type { Retention } from './retention.ts';

/** How many of a log stream's replicas must have a record on disk before it counts. */
export type Acknowledge = 'majority' | 'all';

/** Someone who still needs records of a topic: those after `position`. */
export interface Hold {
  readonly holder: string;
  readonly position: number;
}

export interface TopicState {
  readonly id: number;
  readonly acknowledge: Acknowledge;
  /** GLSN of the last record ordered; 0 for none. */
  highWatermark: number;
  /** Records up to this GLSN are removed. */
  trimmed: number;
  /** What is not to be trimmed without force, one for each holder; replaced as a whole. */
  holds: readonly Hold[];
  /** Replaced as a whole. */
  retention: Retention;
  /** Ascending. */
  readonly logStreams: number[];
}

/** A topic that can be brought back as long as its nodes have its replicas in their trash. */
export type DeletedTopic = Omit<TopicState, 'logStreams'> & { logStreams: LogStreamState[] };

export function copyOfTopic(topic: TopicState): TopicState {
  return { ...topic, logStreams: [...topic.logStreams] };
}
