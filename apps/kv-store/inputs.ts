import { z } from 'zod';

/** A key may have this many bytes. */
export const KEY_BYTES_MAX = 2_048;

export const KeyText = z
  .string()
  .min(1, 'is empty')
  .refine((it) => Buffer.byteLength(it) <= KEY_BYTES_MAX, `has more than ${KEY_BYTES_MAX} bytes`)
  .refine((it) => !/\p{Surrogate}/u.test(it), 'has half a character, which UTF-8 cannot write');

/** What a compare-and-set expects; 0: that there is no such key. */
export const Expected = z.int('is not a revision').min(0, 'is not a revision');

/** The query of what reads. */
export const Reading = z.object({
  stale: z
    .enum(['0', '1'], 'is neither 1 nor 0')
    .default('0')
    .transform((it) => it === '1'),
});

/** The query of what is about several keys. */
export const Prefix = z.object({ prefix: z.string().default('') });

/** The query of a listing. */
export const Listed = Reading.extend(Prefix.shape);

const REVISION = 'is not a revision, which is a whole number as a listing has it';

/** The query of a watch. As in kv.proto: `from` 0 is from now on, and an empty `log` is not checked. */
export const WatchedFrom = z.object({
  from: z
    .string()
    .regex(/^\d{1,15}$/, REVISION)
    .transform(Number)
    .default(0),
  log: z.string().default(''),
});

/** What a watch that goes on says of the last event that was seen. */
export const WatchedUntil = z.object({
  'last-event-id': z
    .string()
    .regex(/^[^:]*:\d{1,15}$/, 'is not the id of an event')
    .transform((id) => {
      const [log = '', revision] = id.split(':');
      return { log, revision: Number(revision) };
    })
    .optional(),
});

/** An entity tag as the store has it: a revision, and the log in which it counts; `undefined`: whichever that is. */
export interface EntityTag {
  readonly weak: boolean;
  readonly revision: number;
  readonly log: string | undefined;
}

const TAGS = /^(W\/)?"[^"]*"(\s*,\s*(W\/)?"[^"]*")*$/;

/**
 * The tags of a condition that are of the store's kind. Others are well formed, and match nothing. A revision alone is
 * one that somebody typed.
 */
const EntityTags = z
  .string()
  .trim()
  // Quotes are forgotten easily by those who type them into a shell.
  .transform((text) => (/^[1-9]\d{0,15}$/.test(text) ? `"${text}"` : text))
  .refine((text) => text === '*' || TAGS.test(text), 'is no list of entity tags')
  .transform((text): 'any' | EntityTag[] => (text === '*' ? 'any' : tagsIn(text)));

function tagsIn(text: string): EntityTag[] {
  return [...text.matchAll(/(W\/)?"([1-9]\d{0,15})(?:-([^"]*))?"/g)].map(
    ([, weak, revision, log]) => ({ weak: weak !== undefined, revision: Number(revision), log }),
  );
}

/** The headers that put a condition. */
export const Conditions = z.object({
  'if-match': EntityTags.optional(),
  'if-none-match': EntityTags.optional(),
});

/** The headers of what writes. */
export const Writing = Conditions.extend({ 'idempotency-key': z.string().optional() });
