import { type Outcome, VarlogError } from '../base/index.ts';

/** The error for somebody of another group. */
export function otherGroup(
  groupId: string,
  own: string,
  other: string,
  outcome?: Outcome,
): VarlogError {
  return new VarlogError('CLUSTER_MISMATCH', {
    what: `a member of the group "${groupId}" with the identity ${other} speaks to one with the identity ${own}`,
    because: 'two groups share addresses, or one of them has the folder of another group',
    next: 'give each group addresses of its own, or put the right folder back; to move a member to another group, empty its folder and add it there under a new id',
    ...(outcome && { outcome }),
    details: { own, other },
  });
}

/** The error for a member that was removed, here and at whoever it speaks to. */
export function removed(groupId: string, member: number): VarlogError {
  return new VarlogError('MEMBER_REMOVED', {
    what: `member ${member} was removed from group "${groupId}"`,
    next: 'close it; to take part again, empty its folder and add it under a new id',
    outcome: 'notAppended',
    details: { removed: member },
  });
}

/** The error for somebody who was never heard of here, and cannot show to be of the same group. */
export function notMember(groupId: string, own: string, from: number): VarlogError {
  const group = own === '' ? '' : ` with the identity ${own}`;
  return new VarlogError('IDENTITY_MISMATCH', {
    what: `member ${from} is not known in group "${groupId}"${group}, and does not know the identity of its own group`,
    because: 'it was started with addresses of another group, or without having been added',
    next: 'start it with `join` and add it, or give it the addresses of its own group',
  });
}

/** The error for messages of one who has not said who it is. */
export function noHello(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'messages came without a hello before them',
    because: 'the peer may run another version',
  });
}
