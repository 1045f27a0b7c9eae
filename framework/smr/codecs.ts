import {
  type Codec,
  cannotEncode,
  checkNames,
  type OptionNames,
  shown,
  VarlogError,
} from '../base/index.ts';
import type { PieceOf } from './pieces.ts';
import type { Rules } from './rules.ts';

const NOTHING = new Uint8Array();

const JSON_CODECS = new WeakSet<object>();

/**
 * JSON in UTF-8; `undefined` is no bytes at all. The default for commands, results and snapshots. It keeps what JSON keeps:
 * of a `Map` and a `Set` that is nothing. Encoding throws `INVALID_ARGUMENT` for what JSON cannot say, such as a bigint; a
 * replica refuses every command of which something would be lost, before it is sent.
 */
export function jsonCodec<T>(): Codec<T> {
  const decoder = new TextDecoder();
  const codec: Codec<T> = {
    encode: (value) => {
      if (value === undefined) return NOTHING;
      try {
        return Buffer.from(JSON.stringify(value));
      } catch (cause) {
        throw cannotEncode(value, cause);
      }
    },
    decode: (bytes) => (bytes.length === 0 ? undefined : JSON.parse(decoder.decode(bytes))) as T,
  };
  JSON_CODECS.add(codec);
  return codec;
}

/** Whether {@link jsonCodec} made it. */
export function isJson(codec: object): boolean {
  return JSON_CODECS.has(codec);
}

/** What every replica encodes and decodes. */
export interface CommandCodecs<Command, Result> {
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly change: Codec<unknown>;
}

/** Codecs of commands, their results and what they emit, JSON where none is given, as they write under the rules in force. */
export function commandCodecs<Command, Result>(
  given: Partial<CommandCodecs<Command, Result>> = {},
  rules: Pick<Rules, 'inForce'>,
): CommandCodecs<Command, Result> {
  const { command = jsonCodec<Command>(), result = jsonCodec<Result>() } = given;
  return {
    command: underRules(command, rules),
    result: underRules(result, rules),
    change: underRules(given.change ?? jsonCodec(), rules),
  };
}

/** For machines whose commands, results or snapshots are bytes already. Copies: whoever has bytes may change them. */
export const bytesCodec: Codec<Uint8Array> = {
  encode: (bytes) => new Uint8Array(bytes),
  decode: (bytes) => new Uint8Array(bytes),
};

/**
 * How a machine's values become bytes. What is left out is JSON. A codec makes bytes and values of its own: neither may
 * share memory with what it was given.
 */
export interface ReplicaCodecs<Command, Result, Snapshot> {
  command?: Codec<Command>;
  result?: Codec<Result>;
  /** Of the state; where the machine hands it over in pieces, of each piece. */
  snapshot?: Codec<PieceOf<Snapshot>>;
  /** Of what the machine emits. */
  change?: Codec<unknown>;
}

/** A codec whose values have changed their shape in the course of time. */
export interface VersionedCodec<T> extends Codec<T> {
  /** Of the newest shape, which is that of the values. */
  readonly version: number;
  /** As it is to be written while these rules are in force: perhaps in an older shape, which older code can read. */
  encodeUnder(value: T, rules: number): Uint8Array;
}

/**
 * A codec that writes what all replicas can read while the rules are as they are. Encoding throws `INVALID_ARGUMENT` where
 * a codec makes something else than bytes: it could not be told from a loss in the log.
 */
export function underRules<T>(codec: Codec<T>, rules: Pick<Rules, 'inForce'>): Codec<T> {
  if (isJson(codec)) return codec;
  const encode = isVersioned(codec)
    ? (value: T) => codec.encodeUnder(value, rules.inForce)
    : (value: T) => codec.encode(value);
  return {
    encode: (value) => checkedBytes(encode(value)),
    decode: (bytes) => codec.decode(bytes),
  };
}

function checkedBytes(bytes: Uint8Array): Uint8Array {
  if (ArrayBuffer.isView(bytes)) return bytes;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `a codec encoded a value to ${shown(bytes)}`,
    next: 'have its `encode` return bytes, for example Buffer.from(text)',
    outcome: 'notAppended',
  });
}

/** Version of the shape that a codec's values have: 1 where it says none. */
export function versionOf(codec: Codec<unknown>): number {
  return isVersioned(codec) ? codec.version : 1;
}

function isVersioned<T>(codec: Codec<T>): codec is VersionedCodec<T> {
  return 'encodeUnder' in codec;
}

const CODEC_NAMES: OptionNames<ReplicaCodecs<unknown, unknown, unknown>> = {
  command: true,
  result: true,
  snapshot: true,
  change: true,
};

/** Throws `INVALID_ARGUMENT` for codecs that are none, or for something that is never encoded. */
export function checkCodecs(codecs: ReplicaCodecs<unknown, unknown, unknown> | undefined): void {
  if (codecs === undefined) return;
  checkNames(codecs, CODEC_NAMES, 'codec');
  for (const [name, it] of Object.entries(codecs)) {
    if (it === undefined || (isFunction(it?.encode) && isFunction(it.decode))) continue;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `codec.${name} is ${shown(it)}, with which nothing can be encoded and decoded`,
      next: 'give an object with `encode` and `decode`, for example `jsonCodec()`',
    });
  }
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
