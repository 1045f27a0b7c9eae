import { type Codec, ownBytes, VarlogError } from '../../base/index.ts';
import { Command, CutEntry, History, Snapshot } from '../../wire/gen/metadata.ts';
import type { MetadataCommand, MetadataResult, MetadataSnapshot } from '../core/index.ts';

/**
 * Grows whenever members of the version before could not do the same with what is written: a new kind
 * of command, or a field that changes what one does. Such a member stops instead, and goes on behind
 * the same command once it was upgraded.
 */
const COMMAND_FORMAT = 2;
/** Older ones are read: those of format 1 know of no holds. */
const SNAPSHOT_FORMAT = 2;

/** Cuts are on the path of every append: they take a few bytes. All else is rare, and JSON. */
export const commandCodec: Codec<MetadataCommand> = {
  encode: (command) => {
    const format = COMMAND_FORMAT;
    if (command.kind !== 'cut') {
      return Command.encode(Command.create({ format, other: JSON.stringify(command) }));
    }
    const cut = command.entries.map((it) => CutEntry.create(it));
    return Command.encode(Command.create({ format, cut }));
  },
  decode: (bytes) => {
    const { cut, other, format } = Command.decode(bytes);
    if (format > COMMAND_FORMAT) throw tooNew('a command', format, COMMAND_FORMAT);
    return other === '' ? { kind: 'cut', entries: cut } : (JSON.parse(other) as MetadataCommand);
  },
};

const NOTHING = new Uint8Array();
const NOTHING_SAID: MetadataResult = { ok: true, value: 0 };

export const resultCodec: Codec<MetadataResult> = {
  encode: (result) => (result.ok && result.value === 0 ? NOTHING : json.encode(result)),
  decode: (bytes) => (bytes.length === 0 ? NOTHING_SAID : (json.decode(bytes) as MetadataResult)),
};

/** Histories are packed already, and only copied: the rest is small. */
export const snapshotCodec: Codec<MetadataSnapshot> = {
  encode: ({ histories, ...rest }) =>
    Snapshot.encode(
      Snapshot.create({
        format: SNAPSHOT_FORMAT,
        state: JSON.stringify(rest),
        histories: histories.map(({ first, pieces, tail }) =>
          History.create({ first, pieces: [...pieces], tail }),
        ),
      }),
    ),
  decode: (bytes) => {
    const { format, state, histories } = Snapshot.decode(bytes);
    if (format > SNAPSHOT_FORMAT) throw tooNew('a snapshot', format, SNAPSHOT_FORMAT);
    const rest = JSON.parse(state) as Omit<MetadataSnapshot, 'histories'>;
    if (format < 2) for (const it of [...rest.topics, ...rest.deletedTopics]) it.holds = [];
    return {
      ...rest,
      // Their bytes are kept, and must not keep the whole message.
      histories: histories.map(({ first, pieces, tail }) => {
        return { first, pieces: pieces.map(ownBytes), tail: ownBytes(tail) };
      }),
    };
  },
};

const json: Codec<unknown> = {
  encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
};

function tooNew(what: string, format: number, known: number): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: `${what} of the metadata has format ${format}, and this version reads format ${known}`,
    because: 'other members run another version',
    next: 'start this member with the version that the others run: it resumes where it stopped',
    details: { format, known },
  });
}
