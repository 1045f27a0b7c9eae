import { VarlogError } from '../../base/index.ts';
import { type Topic, Varlog } from '../client/index.ts';
import { ADDRESS, oneNodeWorld } from '../client/one-node.fixture.ts';
import type { NodeRoles } from '../roles/index.ts';

const AGE_MS = 5_000;

test('what keeps one topic from being trimmed keeps no other one, and is tried again', async () => {
  const world = oneNodeWorld();
  try {
    const ports = world.ports('client');
    const topics = await world.play(async () => {
      const varlog = await Varlog.connect({ endpoints: ADDRESS, timeoutMs: 60_000, ports });
      await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });
      const made: Topic[] = [];
      for (let i = 0; i < 3; i++) {
        const topic = await varlog.createTopic({ retention: { ageMs: AGE_MS } });
        await topic.append('x');
        made.push(topic);
      }
      return made;
    });
    const firsts = () =>
      world.play(() => Promise.all(topics.map(async (it) => (await it.watermarks()).first)));
    const repository = (world.process('n1') as NodeRoles).repository!;
    const { execute } = repository;
    let refused = 0;
    repository.execute = (command, options) => {
      if (command.kind !== 'trim' || command.topicId !== topics[1]!.id)
        return execute.call(repository, command, options);
      refused++;
      return Promise.reject(new VarlogError('TIMEOUT', { what: 'the group does not get on' }));
    };
    await world.until(() => refused > 2);
    expect(await firsts()).toEqual([2, 1, 2]);
    repository.execute = execute;
    await world.run(60_000);
    expect(await firsts()).toEqual([2, 2, 2]);
  } finally {
    world.close();
  }
}, 120_000);
