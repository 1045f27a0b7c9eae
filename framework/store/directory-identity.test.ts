import { SeededRandom, SimulatedDisk } from '../testing/index.ts';
import { DirectoryIdentity } from './directory-identity.ts';

test('a folder that two clusters ask for at once becomes part of the first, for good', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const owner = { clusterId: 1, nodeId: 1, kind: 'storage node' };
  const claim = () => DirectoryIdentity.claim(disk, 'data', owner, 'this disk');
  const identity = await claim();
  const [first, second, again] = await Promise.allSettled(
    ['one', 'another', 'one'].map((it) => identity.join(it)),
  );
  expect([first!.status, again!.status]).toEqual(['fulfilled', 'fulfilled']);
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'CLUSTER_MISMATCH' } });
  expect([identity.cluster, (await claim()).cluster]).toEqual(['one', 'one']);
});
