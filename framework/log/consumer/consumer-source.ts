import type { Ports } from '../../base/index.ts';
import type { OnDecodeError } from '../client/decoding.ts';
import type { Entry } from '../client/entry.ts';
import type { AtTime } from '../client/position-option.ts';
import type { ConsumerBegin } from '../core/index.ts';
import type { ConsumerRegistry } from './consumer-registry.ts';

/** Where a consumer gets its records: a topic, or a log in memory. */
export interface ConsumerSource {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly registry: ConsumerRegistry;
  /** What is to become of records that the codec does not take. */
  readonly onDecodeError: OnDecodeError;
  /** Where a consumer that is new begins. Throws for a resume token that is of elsewhere, and for what is no position. */
  begin(from: unknown): ConsumerBegin | AtTime;
  /** The first position that is there since a time; the one behind the last where there is none. */
  since(time: AtTime, signal: AbortSignal): Promise<number>;
  /** All records from a position on, also those that the codec does not take; ends quietly when `signal` is aborted. */
  tail(from: number, signal: AbortSignal): AsyncIterable<Entry<unknown>>;
  /** One record. */
  read(glsn: number, signal: AbortSignal): AsyncIterable<Entry<unknown>>;
}
