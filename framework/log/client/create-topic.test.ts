import { handler, VarlogError } from '../../base/index.ts';
import { realPorts } from '../../runtime/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
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

describe('a log stream that is made, and does not open as soon as the cluster waits for it', () => {
  /** Opens when it was asked for so often. */
  async function slowly(asks: number): Promise<{ varlog: Varlog; close(): Promise<void> }> {
    const notOpen = (): VarlogError =>
      new VarlogError('TIMEOUT', {
        what: 'log stream 9 is not open after 5 s',
        details: { logStreamId: 9 },
      });
    let asked = 0;
    const server = await serveMember(ports, [
      handler(admpb.ClusterManager.AddLogStream, () => {
        throw notOpen();
      }),
      handler(admpb.ClusterManager.Unseal, async ({ topicId, logStreamId }) => {
        expect([topicId, logStreamId]).toEqual([6, 9]);
        if (++asked < asks) throw notOpen();
        return admpb.UnsealResponse.create({});
      }),
      handler(mrpb.MetadataRepositoryService.GetMetadata, async () =>
        mrpb.GetMetadataResponse.create({}),
      ),
    ]);
    const varlog = await Varlog.connect({ endpoints: server.address, ports });
    return {
      varlog,
      close: async () => {
        await varlog.close();
        await server.close();
      },
    };
  }

  test('is waited for', async () => {
    const { varlog, close } = await slowly(3);
    expect(await varlog.topic(6).addLogStream()).toBe(9);
    await close();
  });

  test('is told of by its id where the caller does not wait so long', async () => {
    const { varlog, close } = await slowly(Infinity);
    await expect(varlog.topic(6).addLogStream({ timeoutMs: 300 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('log stream 9 is not open'),
    });
    await close();
  });
});
