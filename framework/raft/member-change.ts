import { VarlogError } from '../base/index.ts';
import type { Configuration, MemberChange } from './core/index.ts';
import type { Member } from './member.ts';

/** Makes it a learner, with `demote` also a voter; or notes where it is now. `undefined`: nothing is to be changed. */
export function asLearner(
  from: Configuration,
  { id, address, incarnation }: Member & { incarnation: string },
  demote: boolean,
): MemberChange | undefined {
  const { voters, learners } = from;
  const addresses = new Map([[id, address]]);
  const incarnations = new Map([[id, incarnation]]);
  if (learners.includes(id) || (voters.includes(id) && !demote)) {
    const moved = from.addresses.get(id) !== address;
    return moved ? { voters, learners, addresses, incarnations } : undefined;
  }
  if (from.retired.includes(id)) throw retired(id);
  const rest = voters.filter((it) => it !== id);
  if (rest.length === 0) throw lastVoter(id);
  return { voters: rest, learners: [...learners, id], addresses, incarnations };
}

/** Gives it a vote, in place of `replaces`. `undefined`: nothing is to be changed. */
export function asVoter(
  from: Configuration,
  id: number,
  replaces: number | undefined,
): MemberChange | undefined {
  const { voters, learners } = from;
  const stays = (it: number): boolean => it !== id && it !== replaces;
  const others = voters.filter(stays);
  const learning = learners.filter(stays);
  const isSo = others.length === voters.length - 1 && learning.length === learners.length;
  if (voters.includes(id) && isSo) return undefined;
  return { ...from, voters: [...others, id], learners: learning };
}

/** Leaves it out. `undefined`: nothing is to be changed. */
export function without(from: Configuration, id: number): MemberChange | undefined {
  const { voters, learners } = from;
  if (!voters.includes(id) && !learners.includes(id)) return undefined;
  const rest = voters.filter((it) => it !== id);
  if (rest.length === 0) throw lastVoter(id);
  return { ...from, voters: rest, learners: learners.filter((it) => it !== id) };
}

/** The error for an id that was used before. */
export function retired(id: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the id ${id} belonged to a member that was removed, and nothing was changed`,
    because: 'ids are never used twice: what the others know of a member must stay true',
    next: 'empty the folder of the member that is to be added, and give it an id that no member ever had',
    outcome: 'notAppended',
  });
}

function lastVoter(id: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `member ${id} is the only one that votes`,
    next: 'add another member first',
    outcome: 'notAppended',
  });
}
