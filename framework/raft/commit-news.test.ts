import { bytes, NAMES, type Name, SimulatedGroup } from './simulated.fixture.ts';
import { RAFT_TIMES } from './timing.ts';

/** Of a message on its way. */
const SOON_MS = RAFT_TIMES.commitNewsMs / 2;

let group: SimulatedGroup;
let leader: Name;
let followers: [Name, Name];

beforeEach(async () => {
  group = new SimulatedGroup({}, { driftPpmMax: 0 });
  leader = await group.leader();
  followers = group.followers(leader);
  await group.world.run(1_000);
});

afterEach(() => group.world.close());

const append = (at: Name): Promise<number> => group.at(at).append([bytes('x')]);

/** The index of an append, once it resolved. */
async function appended(at: Name): Promise<number> {
  const { fate } = await group.fate(append(at));
  return fate as number;
}

/** Until these members know of a commit: virtual milliseconds. */
async function toldAfter(index: number, members: readonly Name[] = followers): Promise<number> {
  const { world } = group;
  const beganMs = world.nowMs;
  await world.until(() => members.every((it) => group.at(it).status.commit >= index));
  return world.nowMs - beganMs;
}

/** Has entries follow each other, so that the news of one waits for the next. */
async function burst(): Promise<void> {
  for (let i = 0; i < 5; i++) await appended(leader);
}

test('the others hear of a commit at once where nothing has followed the one before', async () => {
  for (let i = 0; i < 3; i++) {
    await group.world.run(100);
    expect(await toldAfter(await appended(leader))).toBeLessThan(SOON_MS);
  }
});

test('where entries follow each other they bring the news, and behind the last of them it comes by itself', async () => {
  for (const pauseMs of [1, 3, 4, 7, 100]) {
    await burst();
    const ms = await toldAfter(await appended(leader));
    expect(ms).toBeGreaterThan(SOON_MS);
    expect(ms).toBeLessThan(2 * RAFT_TIMES.commitNewsMs);
    await burst();
    const index = await appended(leader);
    void append(leader);
    expect(await toldAfter(index)).toBeLessThan(SOON_MS);
    await group.world.run(pauseMs);
  }
});

test('a member that passed an append on, or asked for the tail, hears of it with the answer', async () => {
  const [one, other] = followers;
  await burst();
  expect(await toldAfter(await appended(one), [one])).toBeLessThan(SOON_MS);
  await burst();
  const index = await appended(leader);
  const { fate: tail } = await group.fate(group.at(other).tail());
  expect(tail).toBe(index);
  expect(await toldAfter(index, [other])).toBeLessThan(SOON_MS);
});

test('who belongs to the group is told at once', async () => {
  const [gone] = followers;
  await burst();
  await group.fate(group.at(leader).removeMember(NAMES.indexOf(gone) + 1));
  const { commit } = group.at(leader).status;
  const [stays] = NAMES.filter((it) => it !== leader && it !== gone);
  expect(await toldAfter(commit, [stays!])).toBeLessThan(SOON_MS);
});
