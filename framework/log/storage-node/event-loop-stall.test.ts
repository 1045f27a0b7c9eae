import { eventually, TestCluster } from './cluster.fixture.ts';

test('a process that is held up does not end its sessions', async () => {
  const cluster = await TestCluster.start([1, 2]);
  try {
    await eventually(() => [1, 2].every((it) => cluster.nodes.get(it)!.status.connected));
    const before = [1, 2].map((it) => cluster.linkOf(it));
    const until = performance.now() + 2_500;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const after = [1, 2].map((it) => cluster.linkOf(it));
    expect(after.map((it, i) => it === before[i])).toEqual([true, true]);
  } finally {
    await cluster.close();
  }
});
