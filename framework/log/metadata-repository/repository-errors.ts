import { VarlogError } from '../../base/index.ts';
import type { AnyDefinition, Sender } from '../core/index.ts';

/** Only the leader decides; `leader` is its address, where that is known. */
export function notLeader(leader: string | undefined): VarlogError {
  return new VarlogError('NOT_LEADER', {
    what: 'this metadata repository member does not lead',
    next: leader === undefined ? 'try the other members' : `ask ${leader}`,
    details: leader === undefined ? {} : { leader },
    outcome: 'notAppended',
  });
}

/** It is of no use any more, and disturbs nobody: the others do not listen to it. */
export function memberRemoved(id: number): VarlogError {
  return new VarlogError('MEMBER_REMOVED', {
    what: `member ${id} was removed from the metadata repository`,
    next: 'stop it; to take part again, start it with an empty directory, another --member-id and --join, and add it',
    outcome: 'notAppended',
    details: { removed: id },
  });
}

export function notForSender({ kind, senders }: AnyDefinition, sender: Sender): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the command "${kind}" is not carried out for a ${sender}`,
    next: `leave it to the ${senders.join(' or the ')}`,
    outcome: 'notAppended',
  });
}
