import { encodeBatch, type Random, VarlogError } from '../../framework/base/index.ts';
import { type Message, Raft } from '../../framework/raft/core/index.ts';
import { SimulatedMember } from './raft-member.ts';
import { RaftObserver } from './raft-observer.ts';
import type { Mutant } from './raft-walk.ts';
import { Violation } from './violation.ts';

/** How much may happen on one path. What is never delivered is lost, so losses need no bound. */
export interface SearchBounds {
  readonly campaigns: number;
  readonly proposals: number;
  readonly crashes: number;
  readonly duplicates: number;
  /** Writes finish when they may, and not at once. */
  readonly slowDisks: boolean;
  /** Actions on a path. */
  readonly depth: number;
  readonly states: number;
}

export interface SearchResult {
  /** Distinct states that were visited. */
  readonly states: number;
  /** Actions of the longest paths. */
  readonly depth: number;
  /** The shortest way to a broken invariant, if there is one. */
  readonly violation: { readonly rule: string; readonly trace: readonly string[] } | undefined;
}

const MEMBERS = [1, 2, 3];
const FIRST: Random = { below: () => 0, fraction: () => 0, id: () => '' };
const { bytes: COMMAND } = encodeBatch([new Uint8Array(8)]);

interface Step {
  readonly before: Step | undefined;
  readonly action: string;
  /** What can happen then. */
  readonly next: readonly string[];
}

/**
 * Every state that three members can come to within the bounds, breadth first, so that the first
 * violation has the shortest trace: timeouts and crashes at any time, messages in any order, once, twice
 * or never, writes that finish at any time. States are reached by doing their actions again from the
 * start: a core is not copied.
 */
export function search(bounds: SearchBounds, mutant?: Mutant): SearchResult {
  const visited = new Set<number>();
  let frontier: Step[] = [
    { before: undefined, action: '', next: new SearchState(bounds, mutant).actions() },
  ];
  let depth = 0;
  for (; depth < bounds.depth && frontier.length > 0; depth++) {
    const following: Step[] = [];
    for (const state of frontier) {
      for (const action of state.next) {
        const reached = new SearchState(bounds, mutant);
        for (const before of actionsOf(state)) reached.perform(before);
        const rule = violationIn(() => reached.perform(action));
        if (rule !== undefined) {
          const violation = { rule, trace: [...actionsOf(state), action] };
          return { states: visited.size, depth, violation };
        }
        const { hash } = reached;
        if (visited.has(hash)) continue;
        visited.add(hash);
        following.push({ before: state, action, next: reached.actions() });
        if (visited.size >= bounds.states) {
          return { states: visited.size, depth, violation: undefined };
        }
      }
    }
    frontier = following;
  }
  return { states: visited.size, depth, violation: undefined };
}

function actionsOf(step: Step | undefined): string[] {
  const actions: string[] = [];
  for (let it = step; it?.before !== undefined; it = it.before) actions.push(it.action);
  return actions.reverse();
}

function violationIn(perform: () => void): string | undefined {
  try {
    perform();
    return undefined;
  } catch (error) {
    if (error instanceof Violation || VarlogError.is(error, 'INVARIANT')) return error.message;
    throw error;
  }
}

/** Three members and what is on its way between them. */
class SearchState {
  private readonly members = new Map<number, SimulatedMember>();
  private readonly observer = new RaftObserver(new Set(), Infinity);
  private readonly network = new Map<string, Message>();
  private readonly mutant: Mutant | undefined;
  private campaigns: number;
  private proposals: number;
  private crashes: number;
  private duplicates: number;
  private readonly slowDisks: boolean;
  private untouched = true;

  constructor(bounds: SearchBounds, mutant: Mutant | undefined) {
    this.mutant = mutant;
    this.campaigns = bounds.campaigns;
    this.proposals = bounds.proposals;
    this.crashes = bounds.crashes;
    this.duplicates = bounds.duplicates;
    this.slowDisks = bounds.slowDisks;
    const initial = {
      voters: MEMBERS,
      identity: '',
      retired: [],
      outgoing: [],
      learners: [],
      addresses: new Map(),
      incarnations: new Map(),
    };
    for (const id of MEMBERS) {
      const member = new SimulatedMember(id, initial);
      this.members.set(id, member);
      this.start(member);
    }
  }

  /** What can happen next; names tell all that matters. */
  actions(): string[] {
    // All are alike at first, so it is all the same who campaigns.
    if (this.untouched) return ['timeout 1'];
    const actions: string[] = [];
    for (const [id, { raft, writes }] of this.members) {
      if (this.campaigns > 0 && raft!.role === 'follower') actions.push(`timeout ${id}`);
      if (this.proposals > 0 && raft!.role === 'leader') actions.push(`propose ${id}`);
      if (writes.length > 0) actions.push(`write ${id}`);
      if (this.crashes > 0) actions.push(`crash ${id}`);
    }
    for (const key of this.network.keys()) {
      if (this.isOld(this.network.get(key)!)) continue;
      actions.push(`deliver ${key}`);
      if (this.duplicates > 0) actions.push(`repeat ${key}`);
    }
    return actions;
  }

  perform(action: string): void {
    this.untouched = false;
    const space = action.indexOf(' ');
    const kind = action.slice(0, space);
    const what = action.slice(space + 1);
    if (kind === 'deliver' || kind === 'repeat') {
      const message = this.network.get(what)!;
      if (kind === 'deliver') this.network.delete(what);
      else this.duplicates--;
      const member = this.members.get(message.to)!;
      member.raft!.step(message);
      this.settle(member);
      return;
    }
    const member = this.members.get(Number(what))!;
    const raft = member.raft!;
    if (kind === 'timeout') {
      this.campaigns--;
      // Without the pre-vote, and whatever leader it knows: more may happen than does.
      const from = MEMBERS.find((it) => it !== member.id)!;
      raft.step({ type: 'timeoutNow', from, to: member.id, term: raft.term });
    } else if (kind === 'propose') {
      this.proposals--;
      raft.propose(COMMAND, 1);
    } else if (kind === 'write') {
      this.write(member);
    } else {
      this.crashes--;
      member.writes = [];
      this.start(member);
    }
    this.settle(member);
  }

  /** Of all that has to do with what can happen from here. */
  get hash(): number {
    const parts: string[] = [];
    for (const { raft, writes, hardState, batches } of this.members.values()) {
      const { term, vote, role, leader, votes, log, leadership } = raft!;
      const progress = [...(leadership?.progress ?? [])].map(
        ([id, it]) => `${id}${it.match}${it.next}${it.mode}${it.probing}${it.due}`,
      );
      const terms = batches.map((it) => it.term);
      const pending = writes.map((it) => [
        it.hardState?.term,
        it.hardState?.vote,
        it.truncateTo,
        it.batches.map((batch) => `${batch.index}@${batch.term}`),
      ]);
      const own = Array.from({ length: log.last }, (_, i) => log.termAt(i + 1));
      parts.push(
        `${[term, vote, role, leader, [...votes], own, log.commit, progress, hardState.term]}`,
        `${[hardState.vote, terms, pending]}`,
      );
    }
    const awaited = [...this.network].filter(([, it]) => !this.isOld(it)).map(([key]) => key);
    parts.push(awaited.sort().join());
    parts.push(`${[this.campaigns, this.proposals, this.crashes, this.duplicates]}`);
    return hashOf(parts.join('|'));
  }

  /** Answers of older terms are dropped by whom they reach, so they make no difference. */
  private isOld({ type, to, term }: Message): boolean {
    return type.endsWith('Response') && term < this.members.get(to)!.raft!.term;
  }

  private start(member: SimulatedMember): void {
    const raft = new Raft(
      {
        id: member.id,
        electionTicks: 10,
        heartbeatTicks: 2,
        messageBytesMax: 1_000_000,
        inflightBytesMax: 1_000_000,
        inflightMessagesMax: 3,
        uncommittedBytesMax: Infinity,
        recentBytesMax: Infinity,
        random: FIRST,
      },
      member.hardState,
      member.shape,
    );
    this.mutant?.(raft, undefined as never);
    member.raft = raft;
    this.observer.started(member, raft);
  }

  private settle(member: SimulatedMember): void {
    const raft = member.raft!;
    const effects = raft.effects();
    this.observer.sees(this.members, member, raft, effects);
    if (effects.write !== undefined) member.writes.push(effects.write);
    for (const message of effects.messages) this.network.set(keyOf(message), message);
    for (const { to, from } of effects.fetches) raft.provide(to, from, member.read(from));
    const written = !this.slowDisks && member.writes.length > 0;
    if (written) this.write(member);
    if (written || effects.fetches.length > 0) this.settle(member);
  }

  private write(member: SimulatedMember): void {
    const write = member.writes.shift()!;
    member.store(write);
    this.observer.stored(member);
    member.raft!.persisted(write.sequence);
  }
}

/** Equal messages have equal keys: more than two copies of one are of no use. */
function keyOf(message: Message): string {
  const { type, from, to, term, ...rest } = message;
  const values = Object.values(rest).map((value) =>
    Array.isArray(value) ? value.map((it) => `${it.index}@${it.term}`).join('+') : value,
  );
  return `${type} ${from}→${to} term ${term} (${values.join(' ')})`;
}

/** 53 bits of two multiplicative hashes: among a million states a collision is unlikely. */
function hashOf(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2_654_435_761);
    b = Math.imul(b ^ code, 1_597_334_677);
  }
  a ^= b >>> 16;
  return (b >>> 0) * 2 ** 21 + (a >>> 11);
}
