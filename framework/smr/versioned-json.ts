import { checkNames, VarlogError } from '../base/index.ts';
import { jsonCodec, type VersionedCodec } from './codecs.ts';

/** No text in JSON begins with it: what `jsonCodec` wrote is of version 1. */
const MARK = 0;
const HEADER_BYTES = 5;

/** Versions of shapes but the newest. */
type Older<Shapes extends readonly unknown[]> = Exclude<Extract<keyof Shapes, `${number}`>, '0'>;

type ShapeOf<Shapes extends readonly unknown[], Version> = [never, ...Shapes][Version &
  keyof [never, ...Shapes]];

type NewestOf<Shapes extends readonly unknown[]> = Shapes extends readonly [
  ...unknown[],
  infer Newest,
]
  ? Newest
  : never;

/** By version, what makes of a value of that shape one of the next. */
export type Upcasters<Shapes extends readonly unknown[]> = {
  readonly [V in Older<Shapes>]: (old: ShapeOf<Shapes, V>) => Shapes[V];
};

/** By version, what makes one of that shape of a value of the next, and the rules before which that is written. */
export type Downcasters<Shapes extends readonly unknown[]> = {
  readonly [V in Older<Shapes>]?: {
    readonly before: number;
    readonly of: (value: Shapes[V]) => ShapeOf<Shapes, V>;
  };
};

export interface VersionedJsonOptions<Shapes extends readonly unknown[]> {
  readonly upcast: Upcasters<Shapes>;
  /**
   * Lets replicas of older code go on until the rules are raised: before, values are written in the shape that they know.
   * Without it the first value that newer code writes stops them.
   */
  readonly downcast?: Downcasters<Shapes>;
}

type Cast = (value: unknown) => unknown;

/**
 * JSON of values whose shape has changed: `Shapes` are all that there ever were, the oldest first, and each is brought to
 * the next by an upcaster. So old entries and snapshots are read for ever, and the machine knows the newest shape alone.
 * What {@link jsonCodec} wrote is of version 1.
 *
 * ```ts
 * const command = versionedJson<[{ add: number }, { add: number; by: string }]>({
 *   upcast: { 1: (old) => ({ ...old, by: 'nobody' }) },
 *   downcast: { 1: { before: 2, of: ({ add }) => ({ add }) } },
 * });
 * ```
 *
 * A cast must depend on the value alone: all replicas have to come to the same. Throws `INVALID_ARGUMENT` where the chain
 * has a gap. Decoding throws `FORMAT_UNKNOWN` for a newer shape than the newest of `Shapes`, and a replica stops there.
 */
export function versionedJson<Shapes extends readonly [unknown, ...unknown[]]>(
  options: VersionedJsonOptions<Shapes>,
): VersionedCodec<NewestOf<Shapes>> {
  checkNames<object>(options, { upcast: true, downcast: true }, 'versionedJson');
  const upcasters = chainOf(options.upcast as Record<string, Cast>);
  const downcasters = (options.downcast ?? {}) as Record<string, { before: number; of: Cast }>;
  const newest = upcasters.length + 1;
  const json = jsonCodec<unknown>();
  const encodeUnder = (value: unknown, rules: number): Uint8Array => {
    let [version, written] = [newest, value];
    for (let it = downcasters[version - 1]; it !== undefined && rules < it.before; ) {
      written = it.of(written);
      version--;
      it = downcasters[version - 1];
    }
    return marked(version, json.encode(written));
  };
  return {
    version: newest,
    encode: (value) => encodeUnder(value, Number.POSITIVE_INFINITY),
    encodeUnder,
    decode: (bytes) => {
      const isMarked = bytes.length > 0 && bytes[0] === MARK;
      const found = isMarked ? markedVersion(bytes) : 1;
      if (found > newest) throw newerShape(found, newest);
      let value = json.decode(isMarked ? bytes.subarray(HEADER_BYTES) : bytes);
      for (const upcast of upcasters.slice(found - 1)) value = upcast(value);
      return value as NewestOf<Shapes>;
    },
  };
}

function marked(version: number, json: Uint8Array): Uint8Array {
  if (version === 1) return json;
  const bytes = Buffer.alloc(HEADER_BYTES + json.length);
  bytes[0] = MARK;
  bytes.writeUInt32LE(version, 1);
  bytes.set(json, HEADER_BYTES);
  return bytes;
}

function chainOf(upcast: Record<string, Cast>): Cast[] {
  const count = Object.keys(upcast).length;
  return Array.from({ length: count }, (_, i) => {
    const upcaster = upcast[i + 1];
    if (typeof upcaster === 'function') return upcaster;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the chain of upcasters has ${count} of them, and none from version ${i + 1} to ${i + 2}`,
      because: 'old entries could not be read',
      next: `give one for each version from 1 on: \`upcast: { …, ${i + 1}: (old) => … }\``,
    });
  });
}

function markedVersion(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = bytes.length < HEADER_BYTES ? 0 : view.getUint32(1, true);
  if (found >= 2) return found;
  throw new VarlogError('CORRUPT', {
    what: `${bytes.length} bytes begin as those of a versioned value do, and name no version`,
    next: 'see whether another codec wrote them',
  });
}

function newerShape(found: number, known: number): VarlogError {
  return new VarlogError('FORMAT_UNKNOWN', {
    what: `a value has shape version ${found}, and this code of the machine reads versions up to ${known}`,
    because: 'newer code of the machine wrote it',
    next: 'start the code that wrote it, or newer',
    details: { found, known },
  });
}
