import { handler } from '../../base/index.ts';
import { realPorts } from '../../runtime/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import { TopicDescriptor } from '../../wire/gen/varlogpb.ts';
import { Varlog } from './index.ts';
import { serveMember } from './member-server.fixture.ts';

const ports = realPorts({ directory: '.', logLevel: 'silent' });

test('a topic whose maker gives up is deleted all the same', async () => {
  const stop = new AbortController();
  let told: (topicId: number) => void = () => {};
  const deleted = new Promise<number>((resolve) => {
    told = resolve;
  });
  const server = await serveMember(ports, [
    handler(admpb.ClusterManager.AddTopic, async () =>
      admpb.AddTopicResponse.create({ topic: TopicDescriptor.create({ topicId: 6 }) }),
    ),
    handler(admpb.ClusterManager.AddLogStream, () => {
      stop.abort(new Error('enough'));
      return new Promise(() => {});
    }),
    handler(admpb.ClusterManager.UnregisterTopic, async ({ topicId }) => {
      told(topicId);
      return admpb.UnregisterTopicResponse.create({});
    }),
  ]);
  const varlog = await Varlog.connect({ endpoints: server.address, ports });
  try {
    await expect(varlog.createTopic({ signal: stop.signal })).rejects.toThrow('enough');
    expect(await deleted).toBe(6);
  } finally {
    await varlog.close();
    await server.close();
  }
});
