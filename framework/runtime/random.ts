import { randomInt, randomUUID } from 'node:crypto';
import type { Random } from '../base/index.ts';

/** Randomness of the machine. */
export const realRandom: Random = {
  below: (limit) => randomInt(limit),
  fraction: () => Math.random(),
  id: () => randomUUID(),
};
