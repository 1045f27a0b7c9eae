import {
  asVarlogError,
  checkCount,
  checkFlag,
  checkFunctions,
  checkGivenCount,
  checkLimits,
  checkNames,
  checkNumber,
  checkText,
  LIMIT_NAMES,
  type LogCallOptions,
  type OptionNames,
  type Ports,
  VarlogError,
} from '../base/index.ts';
import type { Configuration } from './core/index.ts';
import type { Member } from './member.ts';
import type { RetentionOptions } from './retention.ts';

/** How to open a member of a group. */
export interface RaftGroupOptions {
  readonly ports: Ports;
  /** Names the group on the wire and on the disk: 1 to 64 letters, digits, `-` and `_`. */
  readonly groupId: string;
  /** Which of the members this is. */
  readonly memberId: number;
  /** The members that the group begins with, the same list at each of them; later the group itself knows. */
  readonly members: readonly Member[];
  /**
   * This member is added to a group that exists (see {@link RaftGroup.addMember}): `members` are some of
   * that group, and itself. Default false.
   */
  readonly join?: boolean;
  /** This member's own folder. */
  readonly directory: string;
  /** A member that hears no leader for one to two times this long campaigns. Default 1,000; a broken
   * connection to the leader is noticed at once. */
  readonly electionTimeoutMs?: number;
  /** Default 500, or half the election timeout where that is less. */
  readonly heartbeatMs?: number;
  /**
   * Whether the leader answers reads alone while no other one can have been elected (thesis §6.4.1).
   * It relies on clocks of which none runs more than a tenth faster than another, and on members that have it too: others
   * promise nothing, and do not count. A leader whose connections break is then replaced after an election timeout, and
   * not at once. Default false: each read asks a majority.
   */
  readonly leaseReads?: boolean;
  /**
   * The member that is to lead: another one that leads hands over to it as soon as it has all that is committed, but not
   * within five election timeouts after its own election, and ever less often to one that does not take over. Each member
   * goes by its own option: give all the same. Default: whoever is elected leads.
   */
  readonly preferredLeader?: number;
  /** Whether appends at a member that does not lead are passed on to the leader. Default true. */
  readonly forward?: boolean;
  /** How long a call waits that gives no `timeoutMs`. Default 10,000. */
  readonly timeoutMs?: number;
  /** Appends that wait may hold this many bytes; beyond, they are refused. Default 64 MiB. */
  readonly queuedBytesMax?: number;
  /**
   * Entries up to a snapshot that stay for members that lag a little, so that these need not be sent
   * the whole state. Default: 10,000 entries, and not more than 64 MiB.
   */
  readonly retain?: RetentionOptions;
  /** Called with each heartbeat while this member leads: for what is to be said as often, without another timer. */
  readonly onHeartbeat?: () => void;
  /** Called once when this member cannot go on, because its disk failed. It is closed then. */
  readonly onFailure?: (error: VarlogError) => void;
}

const NAMES: OptionNames<RaftGroupOptions> = {
  ports: false,
  groupId: true,
  memberId: true,
  members: true,
  join: true,
  directory: true,
  electionTimeoutMs: true,
  heartbeatMs: true,
  leaseReads: true,
  preferredLeader: true,
  forward: true,
  timeoutMs: true,
  queuedBytesMax: true,
  retain: true,
  onHeartbeat: true,
  onFailure: true,
};

const RETENTION_NAMES: OptionNames<RetentionOptions> = { entries: true, bytes: true };

/** Throws `INVALID_ARGUMENT` for what makes no sense; times that have to go together are looked at by `timingOf`. */
export function checkGroupOptions(options: RaftGroupOptions): void {
  checkNames(options, NAMES, 'a Raft group');
  checkMembers(options.memberId, options.members);
  checkText(options.directory, 'directory');
  for (const key of ['join', 'leaseReads', 'forward'] as const) checkFlag(options[key], key);
  checkCount(options.preferredLeader, 'preferredLeader');
  const { timeoutMs, queuedBytesMax, retain = {}, onHeartbeat, onFailure } = options;
  checkLimits({ timeoutMs });
  checkNumber(queuedBytesMax, 'queuedBytesMax', 0);
  checkNames(retain, RETENTION_NAMES, 'retain');
  for (const key of ['entries', 'bytes'] as const) checkNumber(retain[key], `retain.${key}`, 0);
  if (onHeartbeat !== undefined) checkFunctions({ onHeartbeat });
  if (onFailure !== undefined) checkFunctions({ onFailure });
}

const CALLS = {
  append: LIMIT_NAMES,
  tail: LIMIT_NAMES,
  identity: LIMIT_NAMES,
  addMember: { replaces: true, ...LIMIT_NAMES },
  addLearner: LIMIT_NAMES,
  removeMember: LIMIT_NAMES,
  follow: { signal: true },
};

/** Throws `INVALID_ARGUMENT` for an option that this call of a group does not have. */
export function checkCall(call: keyof typeof CALLS, options: object = {}): void {
  checkNames<object>(options, CALLS[call], call);
}

/** Why this call cannot have these options, or be about that member; `undefined`: it can. */
export function refusalOfCall(
  call: keyof typeof CALLS,
  limits: (LogCallOptions & { readonly replaces?: number }) | undefined,
  member?: Partial<Member>,
): VarlogError | undefined {
  try {
    checkCall(call, limits);
    checkLimits(limits);
    checkCount(limits?.replaces, 'replaces');
    if (member === undefined) return undefined;
    const { id, address = '' } = Object(member) as Partial<Member>;
    checkGivenCount(id, 'the id of the member');
    checkText(address, 'the address of the member');
    return undefined;
  } catch (error) {
    return asVarlogError(error);
  }
}

/** Throws `INVALID_ARGUMENT` for members that cannot form a group. */
function checkMembers(memberId: number, members: readonly Member[]): void {
  const given = Array.isArray(members) ? members : [];
  const ids = new Set(given.map((it: Member) => it.id));
  const valid = [...ids].every((it) => Number.isSafeInteger(it) && it > 0);
  if (valid && ids.size === given.length && ids.has(memberId)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `member ${memberId} and the members ${[...ids].join(', ')} do not form a group`,
    next: 'give each member its own id from 1 on, and list this member too',
  });
}

/** What a group begins with, as one of its first members or one that joins knows it. */
export function initialConfiguration(members: readonly Member[], join: boolean): Configuration {
  return {
    identity: '',
    retired: [],
    // Who joins learns from the leader who votes.
    voters: join ? [] : members.map((it) => it.id),
    outgoing: [],
    learners: [],
    addresses: new Map(members.map((it) => [it.id, it.address])),
    incarnations: new Map(),
  };
}
