import { RaftGroup } from './group.ts';
import { bytes, NAMES, SimulatedGroup } from './simulated.fixture.ts';

test('a learner that could not hear its removal asks, and is told', async () => {
  const simulated = new SimulatedGroup();
  const { world } = simulated;
  const address = 'd:1';
  world.node('d', async (ports) => {
    const group = await RaftGroup.open({
      ports,
      groupId: 'g',
      memberId: 4,
      members: [{ id: 4, address }],
      join: true,
      directory: 'raft',
    });
    await ports.network.serve(address, group.handlers);
    return group;
  });
  const leader = simulated.at(await simulated.leader());
  const learner = world.process('d') as RaftGroup;
  await world.play(async () => {
    await leader.append([bytes('a')]);
    await leader.addLearner({ id: 4, address });
  });
  await world.until(() => learner.status.learners.includes(4), 5_000);
  const heal = world.partition([NAMES, ['d']], { oneWay: true });
  await world.play(() => leader.removeMember(4));
  // Until the leader has given up the link to it.
  await world.run(30_000);
  expect(learner.status.removed).toBe(false);
  heal();
  await world.run(20_000);
  expect(learner.status.removed).toBe(true);
  world.close();
});
