import { type Codec, VarlogError } from '../base/index.ts';
import { jsonCodec } from './codecs.ts';

/** No text in JSON begins with it: what `jsonCodec` wrote is of version 1. */
const MARK = 0;
const HEADER_BYTES = 5;

/** A codec whose values have changed their shape in the course of time. */
export interface VersionedCodec<T> extends Codec<T> {
  /** Of the shape that it writes. */
  readonly version: number;
}

/** By version, what makes of a value of that shape one of the next. */
export type Upcasters<Shapes extends readonly unknown[]> = {
  readonly [V in Exclude<Extract<keyof Shapes, `${number}`>, '0'>]: (
    old: [never, ...Shapes][V & keyof [never, ...Shapes]],
  ) => Shapes[V];
};

/**
 * JSON of values whose shape has changed: `Shapes` are all that there ever were, the oldest first, and each is brought to
 * the next by an upcaster. So old entries and snapshots are read for ever, and the machine knows the newest shape alone.
 * What {@link jsonCodec} wrote is of version 1.
 *
 * ```ts
 * const command = versionedJson<[{ add: number }, { add: number; by: string }]>({
 *   upcast: { 1: (old) => ({ ...old, by: 'nobody' }) },
 * });
 * ```
 *
 * An upcaster must depend on the value alone: all replicas have to come to the same. Throws `INVALID_ARGUMENT` where the
 * chain has a gap. Decoding throws `FORMAT_UNKNOWN` for a newer shape than the newest of `Shapes`, and a replica stops
 * there.
 */
export function versionedJson<Shapes extends readonly [unknown, ...unknown[]]>(options: {
  readonly upcast: Upcasters<Shapes>;
}): VersionedCodec<Shapes extends readonly [...unknown[], infer Newest] ? Newest : never> {
  type Newest = Shapes extends readonly [...unknown[], infer It] ? It : never;
  const upcasters = chainOf(options.upcast as Record<string, (old: unknown) => unknown>);
  const version = upcasters.length + 1;
  const json = jsonCodec<unknown>();
  const decode = (bytes: Uint8Array): unknown => {
    const isMarked = bytes.length > 0 && bytes[0] === MARK;
    const found = isMarked ? markedVersion(bytes) : 1;
    if (found > version) throw newerShape(found, version);
    let value = json.decode(isMarked ? bytes.subarray(HEADER_BYTES) : bytes);
    for (const upcast of upcasters.slice(found - 1)) value = upcast(value);
    return value;
  };
  return {
    version,
    encode: (value) => {
      const bytes = json.encode(value);
      if (version === 1) return bytes;
      const marked = Buffer.alloc(HEADER_BYTES + bytes.length);
      marked[0] = MARK;
      marked.writeUInt32LE(version, 1);
      marked.set(bytes, HEADER_BYTES);
      return marked;
    },
    decode: (bytes) => decode(bytes) as Newest,
  };
}

/** Version of the shape that a codec writes: 1 where it says none. */
export function versionOf(codec: Codec<unknown>): number {
  return (codec as Partial<VersionedCodec<unknown>>).version ?? 1;
}

function chainOf(upcast: Record<string, (old: unknown) => unknown>): ((old: unknown) => unknown)[] {
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
