import { CutEntry as EntryMessage, Command as Message } from '../../../wire/gen/metadata.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { applyCut, type CutEntry } from '../cut.ts';
import { NO_CHANGES } from '../metadata-changes.ts';
import { OK } from '../metadata-result.ts';

/** Orders what has become durable. */
export interface Cut {
  readonly kind: 'cut';
  readonly entries: readonly CutEntry[];
}

/** On the path of every append: its entries lie in the command's own message, and nothing is made but commits. */
export const cut: CommandDefinition<Cut, Message> = {
  kind: 'cut',
  number: 0,
  level: 3,
  senders: ['leader'],
  describe: ({ entries }) => `cut ${entries.map((it) => it.logStreamId).join(', ')}`,
  message: Message,
  toMessage: ({ entries }) => ({ cut: entries.map((it) => EntryMessage.create(it)) }),
  fromMessage: (message) => ({ kind: 'cut', entries: message.cut }),
  apply(state, { entries }) {
    const commits = applyCut(state, entries);
    return { result: OK, changes: commits.length === 0 ? NO_CHANGES : { ...NO_CHANGES, commits } };
  },
};
