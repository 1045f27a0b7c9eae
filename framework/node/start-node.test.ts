import { Varlog } from '../log/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../runtime/index.ts';
import { freeAddresses, SimulatedDisk } from '../testing/index.ts';
import { resolveConfig } from './config.ts';
import { startNode } from './start-node.ts';

test.each([1, 3])(
  '%i nodes that are closed on purpose complain of nothing',
  async (count) => {
    const addresses = await freeAddresses(count);
    const members = addresses.map((address, i) => `${i + 1}=${address}`).join(',');
    const complaints: unknown[] = [];
    const logger = {
      log: (level: string, event: string, facts?: object) => {
        if (level === 'warn' || level === 'error') complaints.push({ event, ...facts });
      },
    };
    const nodes = await Promise.all(
      addresses.map((listen, i) => {
        const of = { nodeId: `${i + 1}`, listen, members, replicationFactor: `${count}` };
        const clock = realClock();
        const disk = new SimulatedDisk({ random: realRandom, clock });
        const ports = { clock, random: realRandom, disk, network: new GrpcNetwork(), logger };
        return startNode(resolveConfig({ flags: of }), ports);
      }),
    );
    const varlog = await Varlog.connect({ endpoints: addresses });
    await varlog.ready({ storageNodes: count, timeoutMs: 30_000 });
    await (await varlog.createTopic()).append('a record');
    await varlog.close();
    complaints.length = 0;
    await Promise.all(nodes.map((it) => it.close()));
    expect(complaints).toEqual([]);
  },
  60_000,
);

test('a node that begins anew in the folder of another one says so', async () => {
  const clock = realClock();
  const disk = new SimulatedDisk({ random: realRandom, clock });
  const warnings: unknown[] = [];
  const logger = {
    log: (level: string, event: string, facts?: object) => {
      if (level === 'warn') warnings.push({ event, ...facts });
    },
  };
  const ports = { clock, random: realRandom, disk, network: new GrpcNetwork(), logger };
  const startOnce = async (nodeId: string): Promise<void> => {
    const [listen = ''] = await freeAddresses(1);
    const node = await startNode(resolveConfig({ flags: { nodeId, listen } }), ports);
    await node.close();
  };
  const event = 'the folder has nothing of this node, and data of another one';
  await startOnce('2');
  await startOnce('2');
  expect(warnings).not.toContainEqual(expect.objectContaining({ event }));
  await startOnce('3');
  expect(warnings).toContainEqual(
    expect.objectContaining({ event, missing: 'storage-3', found: ['storage-2'] }),
  );
});
