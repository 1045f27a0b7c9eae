import { filter, firstValueFrom, map, type Observable } from 'rxjs';
import { type Clock, inTime, type LogCallOptions, VarlogError } from '../base/index.ts';
import type { Configuration } from './core/index.ts';
import type { Member } from './member.ts';

/** What a member is and knows at this moment. */
export interface RaftStatus {
  readonly role: 'follower' | 'preCandidate' | 'candidate' | 'leader' | 'closed';
  readonly term: number;
  /** Which group this is, undefined before that is known: see `RaftGroup.identity`. */
  readonly identity: string | undefined;
  readonly leader: Member | undefined;
  /** Ids of the members that vote and that only learn, by this member's newest knowledge. */
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** All of them with the addresses at which the group knows them. Before a member that joins was added: those it was told of. */
  readonly members: readonly Member[];
  /** Whether a change of the members is under way, by this member's newest knowledge. */
  readonly changing: boolean;
  /** The members that a new group waits for: it begins once all of the first ones have met. Empty when it has begun. */
  readonly awaited: readonly number[];
  /** Whether this member knows that it was removed from the group: it takes no appends and no reads any more. */
  readonly removed: boolean;
  /** Members that were destroyed for good on their hosts, as these told this one; the leader hears of all: see `RaftHost.destroyGroup`. */
  readonly destroyedAt: readonly number[];
  /** Everything up to here is committed, as far as this member knows. */
  readonly commit: number;
  /** What a consumer of `follow` has taken. */
  readonly applied: number;
  /** First and last index in this member's log; `last` is `first - 1` when it is empty. */
  readonly first: number;
  readonly last: number;
  /** Why this member does not lead any more, after `RaftGroup.resign`. */
  readonly resigned: string | undefined;
}

/** How far a member's log is. */
export interface RaftPositions {
  /** Everything up to here is committed, as far as this member knows. */
  readonly commit: number;
  /** What a consumer of `follow` has taken. */
  readonly applied: number;
}

/** The members of the newest configuration with their addresses: the same list until that changes. */
export class MemberList {
  private configuration: Configuration | undefined;
  private members: readonly Member[] = [];

  of(configuration: Configuration): readonly Member[] {
    if (this.configuration !== configuration) {
      this.configuration = configuration;
      this.members = [...configuration.addresses].map(([id, address]) => ({ id, address }));
    }
    return this.members;
  }
}

/** The first identity that a status tells, within a time; rejects when there is none. */
export async function firstIdentity(
  status$: Observable<RaftStatus>,
  clock: Clock,
  { timeoutMs, signal }: LogCallOptions & { timeoutMs: number },
): Promise<string> {
  signal?.throwIfAborted();
  const known = status$.pipe(
    map(({ identity }) => identity),
    filter((it) => it !== undefined),
  );
  const late = (): VarlogError =>
    new VarlogError('UNAVAILABLE', {
      what: `the identity of the group was not known within ${timeoutMs} ms`,
      because: 'it has not begun, or no leader told this member of it',
      next: 'check that its members are up, and that they reach each other',
    });
  return inTime(clock, timeoutMs, signal, () => firstValueFrom(known), late);
}
