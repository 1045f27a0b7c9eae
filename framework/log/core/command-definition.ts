import type { MessageCodec } from '../../wire/message.ts';
import type { MetadataChanges } from './metadata-changes.ts';
import { NO_CHANGES } from './metadata-changes.ts';
import { type MetadataResult, OK, type Refusal } from './metadata-result.ts';
import type { MetadataState } from './metadata-state.ts';

/**
 * Who has a command carried out: somebody who administers the cluster, a client that reads or writes the log, a
 * storage node, or the leader of the metadata repository on its own.
 */
export type Sender = 'operator' | 'client' | 'storageNode' | 'leader';

/** What came of a command: the answer to whoever sent it, and what the leader has to pass on. */
export interface Applied {
  readonly result: MetadataResult;
  readonly changes: MetadataChanges;
}

/** Everything about one command of the metadata. */
export interface CommandDefinition<Command extends { readonly kind: string }, Message> {
  readonly kind: Command['kind'];
  /** Its number on the wire: never given to another one, also when this one is gone. */
  readonly number: number;
  /**
   * The feature level that it came with: it is proposed only once the cluster has agreed on that level, so that
   * every member knows it. A command that is to do more than it did is a new command.
   */
  readonly level: number;
  /** Who may have it carried out; all others are refused before it is proposed. */
  readonly senders: readonly Sender[];
  /** What it does, in one line, for logs and errors. */
  describe(command: Command): string;
  readonly message: MessageCodec<Message>;
  toMessage(command: Command): Partial<Message>;
  fromMessage(message: Message): Command;
  /**
   * Carries it out. Deterministic: it looks at nothing but the state and the command. A refusal is a result and
   * leaves the state as it was; what it throws stops the member.
   */
  apply(state: MetadataState, command: Command): Applied;
}

/** Nothing was to be done, or nothing that anybody has to hear of. */
export const DONE: Applied = { result: OK, changes: NO_CHANGES };

export function done(value: number, changes: MetadataChanges = NO_CHANGES): Applied {
  return { result: { ok: true, value }, changes };
}

export function refused(refusal: Refusal): Applied {
  return { result: refusal, changes: NO_CHANGES };
}
