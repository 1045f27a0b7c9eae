import type { Codec } from '../../base/index.ts';
import { Command, CutEntry } from '../../wire/gen/metadata.ts';
import type { MetadataCommand, MetadataResult, MetadataSnapshot } from '../core/index.ts';

/** Cuts are on the path of every append: they take a few bytes. All else is rare, and JSON. */
export const commandCodec: Codec<MetadataCommand> = {
  encode: (command) => {
    if (command.kind !== 'cut') {
      return Command.encode(Command.create({ other: JSON.stringify(command) }));
    }
    return Command.encode(
      Command.create({ cut: command.entries.map((it) => CutEntry.create(it)) }),
    );
  },
  decode: (bytes) => {
    const { cut, other } = Command.decode(bytes);
    return other === '' ? { kind: 'cut', entries: cut } : (JSON.parse(other) as MetadataCommand);
  },
};

const NOTHING = new Uint8Array();
const NOTHING_SAID: MetadataResult = { ok: true, value: 0 };

export const resultCodec: Codec<MetadataResult> = {
  encode: (result) => (result.ok && result.value === 0 ? NOTHING : json.encode(result)),
  decode: (bytes) => (bytes.length === 0 ? NOTHING_SAID : (json.decode(bytes) as MetadataResult)),
};

export const snapshotCodec: Codec<MetadataSnapshot> = {
  encode: (snapshot) => json.encode(snapshot),
  decode: (bytes) => json.decode(bytes) as MetadataSnapshot,
};

const json: Codec<unknown> = {
  encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
};
