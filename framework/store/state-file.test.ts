import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { DirectoryIdentity } from './directory-identity.ts';
import { jsonFormat } from './json-value.ts';
import { StateFile, type ValueFormat } from './state-file.ts';

const always = { below: () => 0, fraction: () => 0, id: () => 'id' };
const random = (seed: number) => {
  let x = seed * 2654435761 + 1;
  const next = (): number => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x >>> 8;
  };
  return { below: (n: number) => next() % n, fraction: () => next() / 2 ** 24, id: () => 'id' };
};
const asBytes: ValueFormat<Uint8Array> = { encode: (it) => it, decode: (it) => it };
const open = (disk: SimulatedDisk) => StateFile.open(disk, 'd/vote', 'a vote', asBytes);
const value = (n: number) => new Uint8Array(n * 300).fill(n);

async function makeDisk(seed = 1): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ random: random(seed) });
  await disk.makeDirectory('d');
  return disk;
}

describe('a state file', () => {
  test('gives back what was written last', async () => {
    const disk = await makeDisk();
    const file = await open(disk);
    expect(file.value).toBeUndefined();
    await Promise.all([file.write(value(1)), file.write(value(2)), file.write(new Uint8Array())]);
    expect((await open(disk)).value).toEqual(new Uint8Array());
    await file.write(value(3));
    expect((await open(disk)).value).toEqual(value(3));
    expect(disk.files().map((it) => it.path)).toEqual(['d/vote']);
  });

  test('has the old or the new value after a crash at any point, and keeps it', async () => {
    for (let halt = 1; halt < 45; halt++) {
      for (let seed = 1; seed < 8; seed++) {
        const disk = await makeDisk(seed);
        const halted = disk.haltAt(disk.operationCount + halt);
        let done = 0;
        let asked = 0;
        const living = (async () => {
          const file = await open(disk);
          for (asked = 1; asked <= 4; asked++) {
            await file.write(value(asked));
            done = asked;
          }
        })();
        await Promise.race([halted, living]);
        disk.crash(seed < 4 ? 'kill' : 'powerLoss');
        const found = (await open(disk)).value?.[0] ?? 0;
        expect([asked, done]).toContain(found);
        disk.crash('powerLoss');
        expect((await open(disk)).value?.[0] ?? 0).toBe(found);
      }
    }
  });

  test('that is damaged is an error, at every byte', async () => {
    const disk = await makeDisk();
    await (await open(disk)).write(value(1));
    const { path, size } = disk.files()[0]!;
    for (let offset = 0; offset < size; offset++) {
      const copy = disk.clone(always);
      copy.flipBit(path, offset, offset % 8);
      await expect(open(copy)).rejects.toMatchObject({
        code: 'CORRUPT',
        details: { path: `/${path}` },
      });
    }
  });

  test('of another owner is refused', async () => {
    const disk = await makeDisk();
    await (await open(disk)).write(value(1));
    const other = StateFile.open(disk, 'd/vote', 'another vote', asBytes);
    await expect(other).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  });

  test.each(['write', 'sync', 'rename', 'syncDirectory'])(
    'is failed for good when %s fails',
    async (kind) => {
      const disk = await makeDisk();
      const file = await open(disk);
      await file.write(value(1));
      disk.faults = { fail: (it) => (it.kind === kind ? 'EIO' : undefined) };
      await expect(file.write(value(2))).rejects.toThrow(/DISK_FAILED/);
      disk.faults = {};
      await expect(file.write(value(3))).rejects.toThrow(/DISK_FAILED/);
      expect(file.value).toEqual(value(1));
      expect(disk.openFiles).toBe(0);
    },
  );
});

describe('a data folder', () => {
  const node = { clusterId: 1, nodeId: 2, kind: 'storage node' };

  test('belongs to the first node that claims it', async () => {
    const disk = await makeDisk();
    expect((await DirectoryIdentity.claim(disk, 'd', node, 'disk a')).disk).toBe('disk a');
    disk.crash('powerLoss');
    expect((await DirectoryIdentity.claim(disk, 'd', node, 'disk b')).disk).toBe('disk a');
    await expect(
      DirectoryIdentity.claim(disk, 'd', { ...node, nodeId: 3 }, 'disk b'),
    ).rejects.toMatchObject({
      code: 'IDENTITY_MISMATCH',
      message: expect.stringMatching(/storage node 2 of cluster 1.*storage node 3 of cluster 1/),
    });
  });

  test('whose identity a later version wrote is refused, and left as it is', async () => {
    const disk = await makeDisk();
    const file = await StateFile.open(disk, 'd/identity', 'directory identity', jsonFormat());
    await file.write({ ...node, disk: 'disk a', format: 2 });
    const before = disk.files();
    await expect(DirectoryIdentity.claim(disk, 'd', node, 'disk b')).rejects.toMatchObject({
      code: 'FORMAT_UNKNOWN',
      message: expect.stringMatching(/d\/identity has format 2.*upgrade/s),
    });
    expect(disk.files()).toEqual(before);
  });

  test('belongs to the first cluster that it joins, also after a power loss', async () => {
    const disk = await makeDisk();
    const fresh = await DirectoryIdentity.claim(disk, 'd', node, 'disk a');
    expect(fresh.cluster).toBeUndefined();
    await fresh.join('one');
    disk.crash('powerLoss');
    const found = await DirectoryIdentity.claim(disk, 'd', node, 'disk b');
    expect(found.cluster).toBe('one');
    await found.join('one');
    await expect(found.join('two')).rejects.toMatchObject({
      code: 'CLUSTER_MISMATCH',
      details: { expected: 'one', found: 'two' },
    });
    expect(found.cluster).toBe('one');
  });
});
