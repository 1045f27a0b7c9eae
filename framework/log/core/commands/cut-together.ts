import { CutEntry as EntryMessage, CutTogether as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { applyCut, type CutEntry } from '../cut.ts';
import { TOGETHER_FROM } from '../feature-level.ts';
import { NO_CHANGES } from '../metadata-changes.ts';
import { refuse } from '../metadata-result.ts';
import type { MetadataState } from '../metadata-state.ts';

/**
 * Orders what has become durable in several log streams because of atomic appends: all of it, or nothing where one of
 * them was sealed, opened anew or removed in the meantime.
 */
export interface CutTogether {
  readonly kind: 'cutTogether';
  readonly entries: readonly CutEntry[];
}

export const cutTogether: CommandDefinition<CutTogether, Message> = {
  kind: 'cutTogether',
  number: 24,
  level: TOGETHER_FROM,
  senders: ['leader'],
  describe: ({ entries }) => `cut together ${entries.map((it) => it.logStreamId).join(', ')}`,
  message: Message,
  toMessage: ({ entries }) => ({ entries: entries.map((it) => EntryMessage.create(it)) }),
  fromMessage: ({ entries }) => ({ kind: 'cutTogether', entries }),
  apply(state, { entries }) {
    const lost = entries.find((it) => !isOpen(state, it));
    if (lost !== undefined) {
      const what = `log stream ${lost.logStreamId} is not open in epoch ${lost.epoch} any more`;
      const next = 'cut again, by what its replicas report';
      return refused(refuse('FAILED_PRECONDITION', what, next));
    }
    const commits = applyCut(state, entries);
    return done(0, commits.length === 0 ? NO_CHANGES : { ...NO_CHANGES, commits });
  },
};

function isOpen({ logStreams }: MetadataState, { logStreamId, epoch }: CutEntry): boolean {
  const stream = logStreams.get(logStreamId);
  return stream !== undefined && !stream.sealed && stream.epoch === epoch;
}
