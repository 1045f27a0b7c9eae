import { sleep } from '../../framework/base/index.ts';
import { World } from '../../framework/testing/index.ts';
import { connect, makeTopic, NODES, startNode } from './three-nodes.ts';

/** Longer than any call of a client waits by itself. */
const OUTAGE_MS = 30_000;

test('who waits until a consumer has caught up waits through an outage, as long as he likes', async () => {
  const world = new World(1);
  try {
    for (const name of NODES) world.node(name, (ports) => startNode(ports, name));
    const topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    const ports = world.ports('client');
    const given: string[] = [];
    await world.play(async () => {
      const varlog = await connect(ports);
      const topic = varlog.topic(topicId);
      await topic.append('a');
      const consumer = topic.process({ name: 'billing' }, (entry) => given.push(entry.text()));
      await consumer.caughtUp();
      for (const name of NODES) world.crash(name);
      const waiting = [consumer.caughtUp(), consumer.caughtUp({ timeoutMs: 2 * OUTAGE_MS })];
      const short = consumer.caughtUp({ timeoutMs: 1_000 });
      const settled = Promise.allSettled([...waiting, short]);
      await sleep(ports.clock, OUTAGE_MS);
      for (const name of NODES) world.restart(name);
      const found = await settled;
      expect(found.map((it) => (it.status === 'rejected' ? it.reason.code : 'caught up'))).toEqual([
        'caught up',
        'caught up',
        'UNREACHABLE',
      ]);
      for (const name of NODES) world.crash(name);
      const last = consumer.caughtUp();
      await consumer.close();
      await expect(last).rejects.toMatchObject({ code: 'CLOSED' });
      await varlog.close();
    }, 300_000);
    expect(given).toEqual(['a']);
  } finally {
    world.close();
  }
}, 120_000);
