import { BATCH_BYTES_MAX, VarlogError } from '../base/index.ts';

/** What is wrong with commands that are to be appended together, if anything. */
export function checkCommands(commands: readonly Uint8Array[]): VarlogError | undefined {
  if (commands.length === 0) return emptyError();
  let bytes = 0;
  for (const command of commands) bytes += 4 + command.length;
  if (bytes <= BATCH_BYTES_MAX) return undefined;
  return new VarlogError('ENTRY_TOO_LARGE', {
    what: `${bytes} bytes of commands are more than the ${BATCH_BYTES_MAX} of one append`,
    next: 'append less at a time',
    outcome: 'notAppended',
  });
}

export function emptyError(): VarlogError {
  return new VarlogError('EMPTY_BATCH', {
    what: 'there is no command to append',
    next: 'append at least one',
    outcome: 'notAppended',
  });
}

export function closedError(groupId: string): VarlogError {
  return new VarlogError('CLOSED', { what: `this member of Raft group "${groupId}" is closed` });
}
