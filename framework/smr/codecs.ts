import type { Codec } from '../base/index.ts';
import { cannotEncode } from './json-loss.ts';
import type { PieceOf } from './pieces.ts';
import type { Rules } from './rules.ts';

const NOTHING = new Uint8Array();

const JSON_CODECS = new WeakSet<object>();

/**
 * JSON in UTF-8; `undefined` is no bytes at all. The default for commands, results and snapshots. It keeps what JSON keeps:
 * of a `Map` and a `Set` that is nothing. Encoding throws `INVALID_ARGUMENT` for what JSON cannot say, such as a bigint.
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

/** A codec that writes what all replicas can read while the rules are as they are. */
export function underRules<T>(codec: Codec<T>, rules: Pick<Rules, 'inForce'>): Codec<T> {
  if (!isVersioned(codec)) return codec;
  return {
    encode: (value) => codec.encodeUnder(value, rules.inForce),
    decode: (bytes) => codec.decode(bytes),
  };
}

/** Version of the shape that a codec's values have: 1 where it says none. */
export function versionOf(codec: Codec<unknown>): number {
  return isVersioned(codec) ? codec.version : 1;
}

function isVersioned<T>(codec: Codec<T>): codec is VersionedCodec<T> {
  return 'encodeUnder' in codec;
}
