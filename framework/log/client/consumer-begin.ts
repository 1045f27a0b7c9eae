import { glsn, type TopicId } from '../../base/index.ts';
import type { ConsumerBegin } from '../core/index.ts';
import { type AtTime, checkRange, isAtTime } from './position-option.ts';
import { isResumeToken, positionOf } from './resume-token.ts';

/**
 * Behind which position a consumer of `topic` in `cluster` begins that is new; a time is still
 * to be looked up. Throws for a resume token that is of elsewhere, and for what is no position.
 */
export function consumerBegin(
  from: unknown,
  cluster: string,
  topic: TopicId,
): ConsumerBegin | AtTime {
  checkRange(from);
  if (isAtTime(from)) return from;
  if (isResumeToken(from)) return positionOf(from, cluster, topic);
  if (from === 'start' || from === 'end') return from;
  return glsn((from as number) - 1);
}
