import { bytes, SimulatedGroup } from './simulated.fixture.ts';

const PREFERRED = 'b';
const LONG_MS = 60_000;

let group: SimulatedGroup;

beforeEach(() => {
  group = new SimulatedGroup({ preferredLeader: 2 });
});

afterEach(() => group.world.close());

/** Until the preferred member leads, and all know it. */
const leadsAgain = () =>
  group.world.until(() => {
    const known = group.running.map((it) => group.at(it).status.leader?.id);
    return group.at(PREFERRED)?.status.role === 'leader' && known.every((it) => it === 2);
  }, LONG_MS);

test('the preferred member comes to lead, after a crash again, and then for good', async () => {
  const { world } = group;
  await leadsAgain();
  for (const _ of [1, 2, 3]) {
    world.crash(PREFERRED);
    const other = await group.leader(PREFERRED);
    await group.fate(group.at(other).append([bytes('x')]));
    world.restart(PREFERRED);
    await leadsAgain();
  }
  const { term } = group.at(PREFERRED).status;
  await world.run(LONG_MS);
  expect(group.at(PREFERRED).status).toMatchObject({ role: 'leader', term });
});

test('nobody hands over to a preferred member that is down or cut off: appends go on', async () => {
  const { world } = group;
  await leadsAgain();
  world.crash(PREFERRED);
  const leader = await group.leader(PREFERRED);
  const { term } = group.at(leader).status;
  for (let i = 0; i < 100; i++) {
    // None waits for a handover that does not work out.
    const { fate, ms } = await group.fate(group.at(leader).append([bytes('x')]));
    expect([typeof fate, ms < 500]).toEqual(['number', true]);
    await world.run(200);
  }
  expect(group.at(leader).status).toMatchObject({ role: 'leader', term });
});

test('one that resigned keeps being a member, and is asked ever less often', async () => {
  const { world } = group;
  await leadsAgain();
  group.at(PREFERRED).resign('the state machine failed');
  const leader = await group.leader(PREFERRED);
  const { term } = group.at(leader).status;
  let slow = 0;
  for (let i = 0; i < 300; i++) {
    const { fate, ms } = await group.fate(group.at(leader).append([bytes('x')]));
    expect(typeof fate).toBe('number');
    if (ms > 300) slow++;
    await world.run(500);
  }
  expect(group.at(leader).status).toMatchObject({ role: 'leader', term });
  expect(slow).toBeLessThan(8);
});
