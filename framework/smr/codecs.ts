import type { Codec } from '../base/index.ts';
import type { PieceOf } from './pieces.ts';

const NOTHING = new Uint8Array();

/** JSON in UTF-8; `undefined` is no bytes at all. The default for commands, results and snapshots. */
export function jsonCodec<T>(): Codec<T> {
  const decoder = new TextDecoder();
  return {
    encode: (value) => (value === undefined ? NOTHING : Buffer.from(JSON.stringify(value))),
    decode: (bytes) => (bytes.length === 0 ? undefined : JSON.parse(decoder.decode(bytes))) as T,
  };
}

/** What every replica encodes and decodes. */
export interface CommandCodecs<Command, Result> {
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly change: Codec<unknown>;
}

/** Codecs of commands, their results and what they emit, JSON where none is given. */
export function commandCodecs<Command, Result>(
  given: Partial<CommandCodecs<Command, Result>> = {},
): CommandCodecs<Command, Result> {
  const { command = jsonCodec<Command>(), result = jsonCodec<Result>() } = given;
  return { command, result, change: given.change ?? jsonCodec() };
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
