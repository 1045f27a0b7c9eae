import { noLogger, type Ports } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { KnownMembers } from './known-members.ts';

describe('where a storage node finds the metadata repository', () => {
  const disk = new SimulatedDisk({ random: realRandom });
  const ports: Ports = {
    clock: realClock(),
    random: realRandom,
    disk,
    network: new GrpcNetwork(),
    logger: noLogger,
  };
  const open = (...metadataRepository: string[]): Promise<KnownMembers> =>
    KnownMembers.open({
      ports,
      clusterId: 1,
      storageNodeId: 1,
      address: 'own:1',
      directory: 'storage',
      metadataRepository,
    });

  test('it remembers over a restart what a leader said, beside what it is started with', async () => {
    const first = await open('a:1', 'b:1');
    expect(first.addresses).toEqual(['a:1', 'b:1']);
    first.learn(['b:1', 'c:1']);
    first.learn([]);
    await first.settled();
    expect((await open('a:1')).addresses).toEqual(['a:1', 'b:1', 'c:1']);
  });

  test('where all that it is started with are of another cluster, it does not follow its memory', async () => {
    const known = await open('x:1', 'y:1');
    known.isOfAnother('x:1');
    expect(known.addresses).toContain('c:1');
    known.isOfAnother('y:1');
    expect(known.addresses).toEqual(['x:1', 'y:1']);
    known.learn(['x:1']);
    expect(known.addresses).toEqual(['x:1', 'y:1']);
  });

  test('a damaged memory is as good as none', async () => {
    const known = await open('a:1');
    known.learn(['d:1']);
    await known.settled();
    disk.flipBit('storage/members', 20);
    expect((await open('a:1')).addresses).toEqual(['a:1']);
  });
});
