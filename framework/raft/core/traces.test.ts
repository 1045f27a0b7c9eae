import { type EntryBatch, endOf, type Message, type Write } from './index.ts';
import {
  changeTo,
  configurationOf,
  drain,
  ELECTION,
  type Given,
  HEARTBEAT,
  isolated,
  logOf,
  Net,
  PAYLOAD,
  termsOf,
  tick,
  timeOut,
} from './scenario.fixture.ts';

/** As index/term. */
const entries = (batches: readonly EntryBatch[]): string =>
  batches.map((it) => ` ${endOf(it)}/${it.term}`).join('') || ' nothing';

/** A message in a few words. */
function say(it: Message): string {
  switch (it.type) {
    case 'vote':
      return `${it.pre ? 'would you vote?' : 'vote!'} my log: ${it.lastIndex}/${it.lastTerm}`;
    case 'voteResponse':
      return `${it.pre ? 'would vote' : 'vote'}: ${it.granted ? 'yes' : 'no'}`;
    case 'append':
      return `behind ${it.prevIndex}/${it.prevTerm}:${entries(it.batches)}, commit ${it.commit}`;
    case 'appendResponse':
      if (it.rejected) return `not behind ${it.index}, perhaps ${it.hintIndex}/${it.hintTerm}`;
      return `have ${it.index}`;
    case 'heartbeat':
      return `heartbeat, commit ${it.commit}`;
    case 'commit':
      return `commit ${it.commit}`;
    default:
      return it.type;
  }
}

/** A write in a few words, in the order in which it takes place. */
function sayWrite({ hardState, truncateTo, batches }: Write): string {
  const parts: string[] = [];
  if (hardState !== undefined) parts.push(` term ${hardState.term} vote ${hardState.vote}`);
  if (truncateTo !== undefined) parts.push(` nothing behind ${truncateTo}`);
  if (batches.length > 0) parts.push(entries(batches));
  return parts.join(',');
}

/**
 * What happens from now on, to everybody or to some: `sender>receivers term: message`, with an `x` before
 * what is lost; what goes to the disks; and who campaigns, leads, or leads no more.
 */
class Trace {
  private lines: string[] = [];
  private readonly net: Net;
  private readonly only: readonly number[];
  private readonly roles: string[];

  constructor(net: Net, only: readonly number[] = net.rafts.map((it) => it.id)) {
    this.net = net;
    this.only = only;
    this.roles = net.rafts.map((it) => it.role);
    this.lose(() => false);
    for (const raft of net.rafts) {
      const effects = raft.effects.bind(raft);
      raft.effects = () => {
        const found = effects();
        this.noteRoles();
        if (found.write !== undefined) this.note([raft.id], ` writes${sayWrite(found.write)}`);
        return found;
      };
    }
  }

  /** From now on these messages are lost. */
  lose(lost: (message: Message) => boolean): void {
    this.net.lost = (message) => {
      this.noteRoles();
      const { from, to, term } = message;
      const gone = lost(message);
      this.note([from, to], ` ${term}: ${say(message)}`, `${gone ? 'x ' : ''}${from}>`);
      return gone;
    };
  }

  clear(): void {
    this.lines = [];
  }

  /** All that happened since the last call. */
  toString(): string {
    this.noteRoles();
    const text = this.lines.map((it) => `\n      ${it}`).join('');
    this.clear();
    return `${text}\n    `;
  }

  private noteRoles(): void {
    for (const [i, { id, role, term }] of this.net.rafts.entries()) {
      const before = this.roles[i];
      this.roles[i] = role;
      if (role !== before && (role !== 'follower' || before === 'leader'))
        this.note([id], ` becomes ${role}, term ${term}`);
    }
  }

  /** The same to several members is one line. */
  private note(whom: readonly number[], what: string, start = ''): void {
    if (!whom.every((it) => this.only.includes(it))) return;
    const before = start === '' ? undefined : this.lines.at(-1);
    if (before?.startsWith(start) && before.endsWith(what))
      this.lines.splice(-1, 1, `${before.slice(0, -what.length)},${whom.at(-1)}${what}`);
    else this.lines.push(`${start}${whom.at(-1)}${what}`);
  }
}

/** Three members that agree under leader 1. */
function led(given: Given = {}): Net {
  const net = Net.of(3, given);
  net.campaign(1);
  net.tickAll(2);
  return net;
}

/** A member does not hear its leader any more, and asks around. */
function looksAround(net: Net, id: number): void {
  timeOut(net.at(id));
  net.settle();
}

describe('elections, message by message', () => {
  test('single_node: a member alone', () => {
    const net = Net.of(1);
    const trace = new Trace(net);
    net.tick(net.at(1));
    expect(`${trace}`).toBe(`
      1 becomes candidate, term 1
      1 writes term 1 vote 1
      1 becomes leader, term 1
      1 writes 1/1
    `);
    expect(net.at(1).log.commit).toBe(1);
  });

  test('campaign: three members', () => {
    const net = Net.of(3);
    const trace = new Trace(net);
    net.tick(net.at(1));
    expect(`${trace}`).toBe(`
      1 becomes preCandidate, term 0
      1>2,3 1: would you vote? my log: 0/0
      2>1 1: would vote: yes
      1 becomes candidate, term 1
      3>1 1: would vote: yes
      1 writes term 1 vote 1
      1>2,3 1: vote! my log: 0/0
      2 writes term 1 vote 1
      3 writes term 1 vote 1
      2>1 1: vote: yes
      1 becomes leader, term 1
      3>1 1: vote: yes
      1 writes 1/1
      1>2,3 1: behind 0/0: 1/1, commit 0
      2 writes 1/1
      3 writes 1/1
      2>1 1: have 1
      3>1 1: have 1
      1>2,3 1: commit 1
    `);
  });

  test('campaign_learner_must_vote: a voter that takes itself for a learner votes, and the group stays available', () => {
    const net = led({ configuration: configurationOf({ voters: [1, 2], learners: [3] }) });
    net.lost = isolated(3);
    net.at(1).changeMembers(changeTo([1, 2, 3]));
    net.settle();
    expect(net.at(2).configuration.voters).toEqual([1, 2, 3]);
    expect(net.at(3).configuration.voters).toEqual([1, 2]);
    const trace = new Trace(net, [2, 3]);
    trace.lose(isolated(1));
    tick(net.at(3), 2 * ELECTION);
    looksAround(net, 2);
    expect(`${trace}`).toBe(`
      2 becomes preCandidate, term 1
      2>3 2: would you vote? my log: 3/1
      3>2 2: would vote: yes
      2 becomes candidate, term 2
      2 writes term 2 vote 2
      2>3 2: vote! my log: 3/1
      3 writes term 2 vote 2
      3>2 2: vote: yes
      2 becomes leader, term 2
      2 writes 4/2
      2>3 2: behind 3/1: 4/2, commit 3
      3>2 2: not behind 3, perhaps 1/1
      2>3 2: behind 1/1: 2/1 3/1 4/2, commit 3
      3 writes 2/1 3/1 4/2
      3>2 2: have 4
      2>3 2: commit 4
    `);
    expect(net.at(3).configuration.voters).toEqual([1, 2, 3]);
  });

  test.each<[string, string, (net: Net) => unknown]>([
    ['checkquorum', 'has not heard it for long', (net) => tick(net.at(3), ELECTION)],
    ['prevote_checkquorum', 'asks around in vain', (net) => drain(timeOut(net.at(3)))],
    ['forget_leader', 'lost the connection to it', (net) => net.at(3).disconnected(1)],
  ])('%s: a leader that is heard is left alone, until another one %s', (_, __, leave) => {
    const net = led();
    const trace = new Trace(net);
    looksAround(net, 2);
    expect(`${trace}`).toBe(`
      2 becomes preCandidate, term 1
      2>1,3 2: would you vote? my log: 1/1
    `);
    leave(net);
    expect(net.rafts.map((it) => it.term)).toEqual([1, 1, 1]);
    trace.clear();
    looksAround(net, 2);
    expect(`${trace}`).toBe(`
      2>1,3 2: would you vote? my log: 1/1
      3>2 2: would vote: yes
      2 becomes candidate, term 2
      2 writes term 2 vote 2
      2>1,3 2: vote! my log: 1/1
      3 writes term 2 vote 2
      3>2 2: vote: yes
      2 becomes leader, term 2
      2 writes 2/2
      2>1 2: behind 1/1: 2/2, commit 1
      1 becomes follower, term 2
      2>3 2: behind 1/1: 2/2, commit 1
      3 writes 2/2
      1 writes term 2 vote 0, 2/2
      3>2 2: have 2
      1>2 2: have 2
      2>1,3 2: commit 2
    `);
  });

  test('prevote: a member whose log is behind is refused and enters no new term; one that has more is elected', () => {
    const net = led();
    net.lost = isolated(3);
    net.propose(1);
    const trace = new Trace(net, [2, 3]);
    trace.lose((it) => isolated(1)(it) || it.type === 'append');
    tick(net.at(2), ELECTION);
    looksAround(net, 3);
    looksAround(net, 2);
    expect(`${trace}`).toBe(`
      3 becomes preCandidate, term 1
      3>2 2: would you vote? my log: 1/1
      2>3 1: would vote: no
      2 becomes preCandidate, term 1
      2>3 2: would you vote? my log: 2/1
      3>2 2: would vote: yes
      2 becomes candidate, term 2
      2 writes term 2 vote 2
      2>3 2: vote! my log: 2/1
      3 writes term 2 vote 2
      3>2 2: vote: yes
      2 becomes leader, term 2
      2 writes 3/2
      x 2>3 2: behind 2/1: 3/2, commit 2
    `);
  });
});

describe('logs that differ, message by message', () => {
  /** Figure 7 of the paper: the leader of term 8 before its first entry, and its six followers. */
  const LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const FOLLOWERS = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];

  test.each([
    `
      1>2 8: behind 10/6: 11/8, commit 0
      2>1 8: not behind 10, perhaps 9/6
      1>2 8: behind 9/6: 10/6 11/8, commit 0
      2 writes 10/6 11/8
      2>1 8: have 11
      1>2 8: commit 11
    `,
    `
      1>3 8: behind 10/6: 11/8, commit 0
      3>1 8: not behind 10, perhaps 4/4
      1>3 8: behind 4/4: 5/4 6/5 7/5 8/6 9/6 10/6 11/8, commit 0
      3 writes 5/4 6/5 7/5 8/6 9/6 10/6 11/8
      3>1 8: have 11
      1>3 8: commit 11
    `,
    `
      1>4 8: behind 10/6: 11/8, commit 0
      4 writes nothing behind 10, 11/8
      4>1 8: have 11
      1>4 8: commit 11
    `,
    `
      1>5 8: behind 10/6: 11/8, commit 0
      5 writes nothing behind 10, 11/8
      5>1 8: have 11
      1>5 8: commit 11
    `,
    `
      1>6 8: behind 10/6: 11/8, commit 0
      6>1 8: not behind 10, perhaps 7/4
      1>6 8: behind 5/4: 6/5 7/5 8/6 9/6 10/6 11/8, commit 0
      6 writes nothing behind 5, 6/5 7/5 8/6 9/6 10/6 11/8
      6>1 8: have 11
      1>6 8: commit 11
    `,
    `
      1>7 8: behind 10/6: 11/8, commit 0
      7>1 8: not behind 10, perhaps 10/3
      1>7 8: behind 3/1: 4/4 5/4 6/5 7/5 8/6 9/6 10/6 11/8, commit 0
      7 writes nothing behind 3, 4/4 5/4 6/5 7/5 8/6 9/6 10/6 11/8
      7>1 8: have 11
      1>7 8: commit 11
    `,
  ])('probe_and_replicate: logs of figure 7, follower %#', (expected) => {
    const id = Number(expected.trim()[2]);
    const given = { hardState: { term: 7, vote: 0 }, options: { messageBytesMax: 10_000 } };
    const net = Net.of(7, given, [LEADER, ...FOLLOWERS]);
    // The leader has its log in memory.
    const { log } = net.at(1);
    log.reset(0, 0, log.configuration);
    for (const batch of logOf(LEADER)) log.append(batch);
    const trace = new Trace(net, [1, id]);
    net.campaign(1);
    const all = `${trace}`;
    expect(all.slice(all.indexOf(expected.slice(0, 20)))).toBe(expected);
    expect(termsOf(net.at(id))).toEqual([...LEADER, 8]);
  });
});

describe('what was lost, message by message', () => {
  test('heartbeat_resp_recovers_from_probing: the answer to a heartbeat brings what was lost, and entries are sent ahead again', () => {
    const net = led({ options: { messageBytesMax: 1 } });
    const trace = new Trace(net, [1, 2]);
    trace.lose((it) => it.type === 'append' && it.to === 2);
    net.propose(1);
    net.at(1).unreachable(2);
    net.settle();
    trace.lose(() => false);
    net.tick(net.at(1), HEARTBEAT);
    for (let i = 0; i < 3; i++) net.at(1).propose(PAYLOAD, 1);
    net.settle();
    expect(`${trace}`).toBe(`
      1 writes 2/1
      x 1>2 1: behind 1/1: 2/1, commit 1
      x 1>2 1: behind 1/1: 2/1, commit 2
      1>2 1: heartbeat, commit 1
      2>1 1: heartbeatResponse
      1>2 1: behind 1/1: 2/1, commit 2
      2 writes 2/1
      2>1 1: have 2
      1 writes 3/1 4/1 5/1
      1>2 1: behind 2/1: 3/1, commit 2
      1>2 1: behind 3/1: 4/1, commit 2
      1>2 1: behind 4/1: 5/1, commit 2
      2 writes 3/1 4/1 5/1
      2>1 1: have 5
      1>2 1: commit 5
    `);
  });

  test('lagging_commit: news of a commit, held up by a lost acknowledgement, come with the next round of heartbeats', () => {
    const net = led();
    const trace = new Trace(net);
    trace.lose((it) => it.type === 'appendResponse' && it.from === 3);
    net.propose(1);
    trace.lose(() => false);
    net.tick(net.at(1), HEARTBEAT);
    expect(`${trace}`).toBe(`
      1 writes 2/1
      1>2,3 1: behind 1/1: 2/1, commit 1
      2 writes 2/1
      3 writes 2/1
      2>1 1: have 2
      x 3>1 1: have 2
      1>2 1: commit 2
      1>2 1: heartbeat, commit 2
      1>3 1: heartbeat, commit 1
      2>1 1: heartbeatResponse
      3>1 1: heartbeatResponse
      1>3 1: behind 2/1: nothing, commit 2
      3>1 1: have 2
    `);
  });
});
