import {
  type Configuration,
  decodeConfiguration,
  encodeConfiguration,
  enter,
  hasQuorum,
  isConfigurationEntry,
  leave,
  type MemberChange,
  quorumIndex,
  tally,
} from './index.ts';
import {
  acknowledge,
  answerHeartbeat,
  changeTo,
  configurationOf,
  drain,
  ELECTION,
  member,
  PAYLOAD,
  refuse,
  settled,
  timeOut,
  to,
} from './scenario.fixture.ts';

const ROUNDS = 3_000;

/** Whole numbers below a limit: the same ones whenever the tests run. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

type Below = ReturnType<typeof numbers>;

/** Some of the members 1 … `size`, in any order. */
function some(below: Below, size: number, least = 0): number[] {
  const left = Array.from({ length: size }, (_, i) => i + 1);
  const count = least + below(size - least + 1);
  return Array.from({ length: count }, () => left.splice(below(left.length), 1)[0]!);
}

/** Mostly joint; each of both sides may be empty. */
function anyConfiguration(below: Below): Configuration {
  return configurationOf({ voters: some(below, 6), outgoing: some(below, 6) });
}

/** The rule in its own words: more than half, of whoever is asked at all; nobody asks for nothing. */
function isMajority(yes: ReadonlySet<number>, voters: readonly number[]): boolean {
  const agreeing = voters.filter((it) => yes.has(it));
  return voters.length === 0 || agreeing.length * 2 > voters.length;
}

/** Joint consensus: separate majorities of both. */
function isQuorum(yes: ReadonlySet<number>, { voters, outgoing }: Configuration): boolean {
  return isMajority(yes, voters) && isMajority(yes, outgoing);
}

const votersOf = ({ voters, outgoing }: Configuration): number[] => [
  ...new Set([...voters, ...outgoing]),
];

/** All sets of the given members. */
function subsets(members: readonly number[]): Set<number>[] {
  return Array.from(
    { length: 2 ** members.length },
    (_, bits) => new Set(members.filter((__, i) => (bits >> i) & 1)),
  );
}

describe('what a majority has reached', () => {
  test.each([
    // voters, outgoing, how far the members 1, 2, … are, index
    [[], [], [], Infinity],
    [[1], [], [12], 12],
    [[1, 2], [], [12, 5], 5],
    [[1, 2, 3], [], [12, 5, 6], 6],
    [[1, 2, 3], [], [5, 5, 6], 5],
    [[1, 2, 3], [], [100, 0, 0], 0],
    [[1, 2, 3, 4], [], [103, 101, 102, 104], 102],
    [[1, 2, 3, 4, 5], [], [103, 101, 104, 104, 103], 103],
    [[], [1, 2, 3], [12, 5, 6], 6],
    [[1, 2, 3], [], [0, 9, 9], 9],
    [[1], [1, 2, 3], [9, 7, 8], 8],
    [[4, 5, 6], [1, 2, 3], [9, 9, 9, 4, 3, 2], 3],
    [[1, 2, 3], [3, 4, 5], [1, 1, 9, 9, 9], 1],
    [[1, 2, 3, 4], [1, 2, 3], [9, 8, 7, 0], 7],
  ])('quorum: %j, leaving %j, with %j', (voters, outgoing, reached, index) => {
    const configuration = configurationOf({ voters, outgoing });
    expect(quorumIndex(configuration, (it) => reached[it - 1]!)).toBe(index);
  });

  test('quorum Quick: of any configuration it is the highest index that a quorum has', () => {
    const below = numbers(1);
    for (let round = 0; round < ROUNDS; round++) {
      const configuration = anyConfiguration(below);
      const reached = Array.from({ length: 7 }, () => below(8));
      const has = (index: number): Set<number> =>
        new Set(votersOf(configuration).filter((it) => reached[it]! >= index));
      let expected = votersOf(configuration).length === 0 ? Infinity : 7;
      while (expected !== Infinity && !isQuorum(has(expected), configuration)) expected--;
      const found = quorumIndex(configuration, (it) => reached[it]!);
      expect({ configuration, reached, found }).toEqual({
        ...{ configuration, reached },
        found: expected,
      });
    }
  });

  test('quorum Quick: while the voters change it is the lesser of what either side alone has', () => {
    const below = numbers(2);
    for (let round = 0; round < ROUNDS; round++) {
      const { voters, outgoing } = anyConfiguration(below);
      const reached = Array.from({ length: 7 }, () => below(8));
      const index = (part: Partial<Configuration>): number =>
        quorumIndex(configurationOf(part), (it) => reached[it]!);
      const both = index({ voters, outgoing });
      expect(both).toBe(Math.min(index({ voters }), index({ voters: outgoing })));
      expect(index({ voters: outgoing, outgoing: voters })).toBe(both);
      expect(index({ voters, outgoing: voters })).toBe(index({ voters }));
    }
  });
});

describe('how an election stands', () => {
  test.each([
    // voters, outgoing, who said yes, who said no, result
    [[], [], [], [], 'won'],
    [[1], [], [], [], 'open'],
    [[1], [], [], [1], 'lost'],
    [[1], [], [1], [], 'won'],
    [[1, 2], [], [1], [], 'open'],
    [[1, 2], [], [], [2], 'lost'],
    [[1, 2, 3], [], [1], [2], 'open'],
    [[1, 2, 3], [], [1, 3], [2], 'won'],
    [[1, 2, 3], [], [1], [2, 3], 'lost'],
    [[1, 2, 3, 4], [], [1, 2], [3], 'open'],
    [[1, 2, 3, 4], [], [1, 2], [3, 4], 'lost'],
    [[1, 2, 3], [4, 5, 6], [1, 2, 3], [], 'open'],
    [[1, 2, 3], [4, 5, 6], [1, 2, 4, 5], [], 'won'],
    [[1, 2, 3], [4, 5, 6], [1, 2, 3], [5, 6], 'lost'],
    [[1, 2, 3], [2, 3, 4], [2, 3], [1, 4], 'won'],
    [[1, 2, 3], [1], [2, 3], [1], 'lost'],
    [[1, 2, 3], [], [1, 7, 8, 9], [], 'open'],
  ])(
    'quorum: %j, leaving %j, of whom %j say yes and %j no: %s',
    (voters, outgoing, yes, no, result) => {
      const votes = new Map([...yes, ...no].map((it) => [it, yes.includes(it)]));
      expect(tally(configurationOf({ voters, outgoing }), votes)).toBe(result);
    },
  );

  test('quorum Quick: of any configuration it is decided when the missing answers make no difference', () => {
    const below = numbers(3);
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const configuration = anyConfiguration(below);
      const votes = new Map(some(below, 7).map((it) => [it, below(3) > 0]));
      const yes = votersOf(configuration).filter((it) => votes.get(it) === true);
      const missing = votersOf(configuration).filter((it) => !votes.has(it));
      const endings = new Set(
        subsets(missing).map((more) => isQuorum(new Set([...yes, ...more]), configuration)),
      );
      const expected = endings.size === 2 ? 'open' : endings.has(true) ? 'won' : 'lost';
      const found = tally(configuration, votes);
      seen.add(found);
      expect({ configuration, votes, found }).toEqual({ configuration, votes, found: expected });
    }
    expect(seen.size).toBe(3);
  });

  test('quorum Quick: who is asked for contact is counted as in an election', () => {
    const below = numbers(4);
    for (let round = 0; round < ROUNDS; round++) {
      const configuration = anyConfiguration(below);
      const active = new Set(some(below, 7));
      const found = hasQuorum(configuration, (it) => active.has(it));
      expect(found).toBe(isQuorum(active, configuration));
      const votes = new Map([1, 2, 3, 4, 5, 6].map((it) => [it, active.has(it)]));
      expect(tally(configuration, votes)).toBe(found ? 'won' : 'lost');
    }
  });
});

describe('a change of the configuration', () => {
  /** A configuration that a group can have between changes: each member has one role. */
  function anyStable(below: Below): Configuration {
    const members = some(below, 6, 1);
    const voters = members.splice(0, 1 + below(members.length));
    return configurationOf({ voters, learners: members });
  }

  const changeBetween = ({ voters, learners }: Configuration): MemberChange =>
    changeTo(voters, learners);

  const rolesOf = ({ voters, outgoing, learners }: Configuration): number[][] =>
    [voters, outgoing, learners].map((it) => [...it].sort((a, b) => a - b));

  /** One member at a time: voters first, so that there always is one. */
  function stepsBetween(from: Configuration, goal: Configuration): MemberChange[] {
    const steps: MemberChange[] = [];
    let voters = [...from.voters];
    let learners = [...from.learners];
    const step = (id: number, role: 'voter' | 'learner' | 'none'): void => {
      voters = voters.filter((it) => it !== id);
      learners = learners.filter((it) => it !== id);
      if (role === 'voter') voters = [...voters, id];
      if (role === 'learner') learners = [...learners, id];
      steps.push(changeTo(voters, learners));
    };
    for (const id of goal.voters) step(id, 'voter');
    for (const id of goal.learners) step(id, 'learner');
    for (const id of [...voters, ...learners]) {
      if (!goal.voters.includes(id) && !goal.learners.includes(id)) step(id, 'none');
    }
    return steps;
  }

  test('ConfChangeQuick: in one joint change or member by member, the end is the same', () => {
    const below = numbers(5);
    for (let round = 0; round < ROUNDS; round++) {
      const from = anyStable(below);
      const goal = anyStable(below);
      const atOnce = leave(enter(from, changeBetween(goal)));
      let slowly = from;
      for (const step of stepsBetween(from, goal)) slowly = leave(enter(slowly, step));
      expect(rolesOf(atOnce)).toEqual(rolesOf(goal));
      expect(rolesOf(slowly)).toEqual(rolesOf(goal));
    }
  });

  test('confchange joint_safety: no two quorums miss each other, before and in the change, or in the change and behind it', () => {
    const below = numbers(6);
    const everyone = [1, 2, 3, 4, 5, 6];
    const missed: unknown[] = [];
    for (let round = 0; round < ROUNDS / 10; round++) {
      const from = anyStable(below);
      const joint = enter(from, changeBetween(anyStable(below)));
      const end = leave(joint);
      for (const part of subsets(everyone)) {
        const rest = new Set(everyone.filter((it) => !part.has(it)));
        for (const stable of [from, end]) {
          const both =
            hasQuorum(stable, (it) => part.has(it)) && hasQuorum(joint, (it) => rest.has(it));
          if (both) missed.push({ from, joint, part });
        }
      }
    }
    expect(missed).toEqual([]);
  });

  test('confchange simple_safety: whoever has another set of voters goes through a joint one, and nobody else does', () => {
    const below = numbers(7);
    for (let round = 0; round < ROUNDS; round++) {
      const from = anyStable(below);
      const goal = anyStable(below);
      const [before] = rolesOf(from);
      const [after] = rolesOf(goal);
      const joint = enter(from, changeBetween(goal));
      expect(rolesOf(joint)).toEqual([
        after,
        JSON.stringify(before) === JSON.stringify(after) ? [] : before,
        rolesOf(goal)[2],
      ]);
    }
  });

  test('confchange Restore: an entry brings back any configuration exactly', () => {
    for (const part of [
      { voters: [1] },
      { voters: [3, 1, 2], learners: [9, 4] },
      { voters: [1, 2, 3], outgoing: [1, 2, 4, 6], learners: [4, 5] },
      { voters: [], outgoing: [] },
    ]) {
      const addresses = new Map([
        [1, 'one:1'],
        [300, 'späť:2'],
      ]);
      const incarnations = new Map([[1, 'disk']]);
      const configuration = configurationOf({ ...part, addresses, incarnations });
      const payload = encodeConfiguration(configuration);
      expect(decodeConfiguration(payload)).toEqual(configuration);
      expect(isConfigurationEntry({ index: 1, term: 1, count: 1, payload })).toBe(true);
    }
    for (const payload of [PAYLOAD, new Uint8Array(0)]) {
      expect(isConfigurationEntry({ index: 1, term: 1, count: 1, payload })).toBe(false);
      expect(() => decodeConfiguration(payload)).toThrow(/CORRUPT/);
    }
    const json = new TextEncoder().encode(JSON.stringify({ identity: '', format: 2 }));
    const later = new Uint8Array([0xff, 0xff, 0xff, 0xff, ...json]);
    expect(() => decodeConfiguration(later)).toThrow(/FORMAT_UNKNOWN.*format 2/);
  });
});

describe('a leader whose voters change', () => {
  test('StepConfig: it is not ended before it is committed, although entries before it are', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    raft.changeMembers(changeTo([1, 2, 4]));
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.log).toMatchObject({ commit: 2, last: 3, configurationIndex: 3 });
    acknowledge(raft, 2, 3);
    expect(raft.log).toMatchObject({ commit: 3, last: 4, configurationIndex: 4 });
  });

  test('confchange learners_next: who is to learn votes with the old ones until the change is ended', () => {
    const raft = settled(member());
    raft.changeMembers(changeTo([1, 2], [3]));
    drain(raft);
    expect(raft.configuration).toMatchObject({
      voters: [1, 2],
      outgoing: [1, 2, 3],
      learners: [3],
    });
    acknowledge(raft, 3, 2);
    expect(raft.log.commit).toBe(1);
    acknowledge(raft, 2, 2);
    expect(raft.configuration).toMatchObject({ voters: [1, 2], outgoing: [], learners: [3] });
  });

  test.each([
    [[2], 1],
    [[4, 5], 1],
    [[2, 3], 1],
    [[2, 4], 2],
    [[3, 5], 2],
  ])(
    'confchange joint_safety: from 1, 2, 3 to 1, 4, 5, what 1 and %j have is committed up to %d',
    (ids, commit) => {
      const raft = settled(member());
      raft.changeMembers(changeTo([1, 4, 5]));
      drain(raft);
      for (const id of ids) acknowledge(raft, id, 2);
      expect(raft.log.commit).toBe(commit);
    },
  );

  test('confchange remove_leader, remove_leader_stepdown: it does not count itself any more, and leads until the others have the end of the change', () => {
    const raft = settled(member());
    raft.changeMembers(changeTo([2, 3]));
    drain(raft);
    // Members 1 and 2 are a majority of the old configuration; member 2 alone is none of the new one.
    acknowledge(raft, 2, 2);
    expect(raft.log.commit).toBe(1);
    acknowledge(raft, 3, 2);
    expect(raft.log.commit).toBe(2);
    expect(raft.configuration).toMatchObject({ voters: [2, 3], outgoing: [] });
    expect(raft.propose(PAYLOAD, 1)).toBe(4);
    drain(raft);
    acknowledge(raft, 2, 4);
    drain(raft);
    expect(raft).toMatchObject({ role: 'leader', log: { commit: 2 } });
    acknowledge(raft, 3, 3);
    expect(raft.log.commit).toBe(3);
    const sent = drain(raft);
    expect(sent.filter((it) => it.type === 'commit')).toMatchObject([{ to: 2 }, { to: 3 }]);
    // The one that has most is asked to go on.
    expect(sent.at(-1)).toMatchObject({ type: 'timeoutNow', to: 2 });
    expect(raft).toMatchObject({ role: 'follower', leader: 0, promotable: false });
    expect(timeOut(raft).role).toBe('follower');
  });

  test('RemoveNode: one that does not answer is told so for an election timeout, and then forgotten', () => {
    const raft = settled(member());
    raft.changeMembers(changeTo([1, 2]));
    drain(raft);
    acknowledge(raft, 2, 2);
    drain(raft);
    acknowledge(raft, 2, 3);
    const tick = (): number => {
      raft.tick();
      answerHeartbeat(raft, 2);
      return drain(raft).filter(to(3)).length;
    };
    const sent = Array.from({ length: 3 * ELECTION }, tick);
    expect(sent.slice(0, ELECTION - 1).some((it) => it > 0)).toBe(true);
    expect(sent.slice(ELECTION).every((it) => it === 0)).toBe(true);
    expect([...raft.leadership!.progress.keys()]).toEqual([1, 2]);
    acknowledge(raft, 3, 3);
    refuse(raft, 3, 3);
    answerHeartbeat(raft, 3);
    expect(drain(raft)).toEqual([]);
  });
});
