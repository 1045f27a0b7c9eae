import { Timestamp } from '../wire/gen/protobuf.ts';

/** A time in milliseconds since 1970, as the published interface says it; null where it is not known: 0. */
export function publishedTime(ms: number): Timestamp | null {
  if (ms === 0) return null;
  const seconds = Math.floor(ms / 1000);
  return Timestamp.create({ seconds, nanos: Math.floor((ms - seconds * 1000) * 1e6) });
}
