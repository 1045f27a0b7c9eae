import type { Disk } from '../../base/index.ts';

/** A disk to be tested, with an empty root. */
export interface DiskUnderTest {
  readonly disk: Disk;
  close(): Promise<void>;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/**
 * Registers the tests that every {@link Disk} has to pass: what `base/disk.ts` promises, except for
 * what only a power loss shows.
 *
 * ```ts
 * diskContract('the simulated disk', async () => ({ disk: makeDisk(), close: async () => {} }));
 * ```
 */
export function diskContract(name: string, make: () => Promise<DiskUnderTest>): void {
  describe(`${name} keeps the disk contract`, () => {
    let subject: DiskUnderTest;
    beforeEach(async () => {
      subject = await make();
    });
    afterEach(() => subject.close());

    fileTests(() => subject.disk);
    nameTests(() => subject.disk);
    lockTests(() => subject.disk);
  });
}

function fileTests(disk: () => Disk): void {
  test('what was written is read back, chunks one after the other', async () => {
    const file = await disk().open('a', 'create');
    await file.write(0, [text('one'), text(''), text('two')]);
    await file.write(3, [text('TW')]);
    expect(string(await file.read(0, 6))).toBe('oneTWo');
    expect(await file.size()).toBe(6);
    await file.close();
  });

  test('a durable write is a write', async () => {
    const file = await disk().open('a', 'create');
    await file.write(0, [text('abc')]);
    await file.writeDurably(1, [text('X'), text('YZ')]);
    expect(string(await file.read(0, 9))).toBe('aXYZ');
    await file.writeDurably(6, []);
    expect(await file.size()).toBe(4);
    await file.close();
  });

  test('an empty write changes nothing', async () => {
    const file = await disk().open('a', 'create');
    await file.write(0, []);
    await file.write(0, [text('')]);
    expect(await file.size()).toBe(0);
    await file.close();
  });

  test('many chunks in one write arrive whole', async () => {
    const file = await disk().open('a', 'create');
    const chunks = Array.from({ length: 2500 }, (_, i) => text(`${i},`));
    await file.write(0, chunks);
    const whole = chunks.map(string).join('');
    expect(await file.size()).toBe(whole.length);
    expect(string(await file.read(0, whole.length))).toBe(whole);
    await file.close();
  });

  test('the caller may use its buffers again once a write has resolved', async () => {
    const file = await disk().open('a', 'create');
    const bytes = text('kept');
    await file.write(0, [bytes]);
    bytes.fill(0);
    expect(string(await file.read(0, 4))).toBe('kept');
    const read = await file.read(0, 4);
    read.fill(0);
    expect(string(await file.read(0, 4))).toBe('kept');
    await file.close();
  });

  test('a read is short only at the end of the file', async () => {
    const file = await disk().open('a', 'create');
    await file.write(0, [text('abc')]);
    expect(string(await file.read(1, 100))).toBe('bc');
    expect((await file.read(3, 10)).length).toBe(0);
    expect((await file.read(100, 10)).length).toBe(0);
    await file.close();
  });

  test('a write behind the end leaves zeros in between', async () => {
    const file = await disk().open('a', 'create');
    await file.write(4, [text('x')]);
    expect([...(await file.read(0, 5))]).toEqual([0, 0, 0, 0, 120]);
    await file.close();
  });

  test('truncate shortens and lengthens, and what comes back is zero', async () => {
    const file = await disk().open('a', 'create');
    await file.write(0, [text('abcdef')]);
    await file.truncate(2);
    await file.truncate(4);
    expect([...(await file.read(0, 10))]).toEqual([97, 98, 0, 0]);
    await file.close();
  });

  test('a file that is opened again has its bytes; create keeps them, too', async () => {
    const first = await disk().open('a', 'create');
    await first.write(0, [text('abc')]);
    await first.sync();
    await first.close();
    for (const mode of ['existing', 'create'] as const) {
      const again = await disk().open('a', mode);
      expect(string(await again.read(0, 3))).toBe('abc');
      await again.close();
    }
  });

  test('two handles of one file see the same bytes', async () => {
    const one = await disk().open('a', 'create');
    const two = await disk().open('a', 'existing');
    await one.write(0, [text('abc')]);
    expect(string(await two.read(0, 3))).toBe('abc');
    await one.close();
    await two.close();
  });

  test('a handle outlives its name', async () => {
    const file = await disk().open('a', 'create');
    await file.write(0, [text('abc')]);
    await disk().remove('a');
    expect(string(await file.read(0, 3))).toBe('abc');
    await file.close();
  });
}

function nameTests(disk: () => Disk): void {
  const create = async (path: string, content = path): Promise<void> => {
    const file = await disk().open(path, 'create');
    await file.write(0, [text(content)]);
    await file.close();
  };
  const content = async (path: string): Promise<string> => {
    const file = await disk().open(path, 'existing');
    const bytes = await file.read(0, await file.size());
    await file.close();
    return string(bytes);
  };

  test('a file that is not there is NOT_FOUND, and the message names it', async () => {
    await expect(disk().open('missing', 'existing')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('missing'),
    });
    await expect(disk().rename('missing', 'b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('names are listed sorted, a folder that is not there is empty', async () => {
    await disk().makeDirectory('d/e');
    for (const name of ['d/b', 'd/a', 'd/e/x']) await create(name);
    expect(await disk().list('d')).toEqual(['a', 'b', 'e']);
    expect(await disk().list('d/e')).toEqual(['x']);
    expect(await disk().list('nowhere')).toEqual([]);
  });

  test('making a folder twice does nothing', async () => {
    await disk().makeDirectory('d/e');
    await create('d/e/x');
    await disk().makeDirectory('d/e');
    expect(await disk().list('d/e')).toEqual(['x']);
  });

  test('a folder is renamed with all that is in it', async () => {
    await disk().makeDirectory('d/e');
    await create('d/e/x');
    await create('d/y');
    await disk().makeDirectory('other');
    await disk().rename('d', 'other/f');
    await disk().syncDirectory('');
    await disk().syncDirectory('other');
    expect(await disk().list('')).toEqual(['other']);
    expect(await disk().list('other/f')).toEqual(['e', 'y']);
    expect(await content('other/f/e/x')).toBe('d/e/x');
  });

  test('rename replaces, and the old name is gone', async () => {
    await create('a');
    await create('b');
    await disk().rename('a', 'b');
    await disk().syncDirectory('');
    expect(await content('b')).toBe('a');
    expect(await disk().list('')).toEqual(['b']);
  });

  test('remove takes a file, a folder with all in it, and nothing', async () => {
    await disk().makeDirectory('d/e');
    await create('d/e/x');
    await create('a');
    await disk().remove('a');
    await disk().remove('d');
    await disk().remove('d');
    expect(await disk().list('')).toEqual([]);
    await expect(disk().open('d/e/x', 'existing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a name that was removed can be used again, empty', async () => {
    await create('a');
    await disk().remove('a');
    const file = await disk().open('a', 'create');
    expect(await file.size()).toBe(0);
    await file.close();
  });
}

function lockTests(disk: () => Disk): void {
  test('a folder can be locked once, and again after its release', async () => {
    await disk().makeDirectory('d');
    const lock = await disk().lock('d');
    await expect(disk().lock('d')).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    await lock.release();
    await lock.release();
    await (await disk().lock('d')).release();
  });

  test('of several that want it at once, one gets it', async () => {
    await disk().makeDirectory('d');
    const tries = await Promise.allSettled(Array.from({ length: 5 }, () => disk().lock('d')));
    const got = tries.filter((it) => it.status === 'fulfilled');
    expect(got).toHaveLength(1);
    await got[0]!.value.release();
  });

  test('locks of two folders have nothing to do with each other', async () => {
    await disk().makeDirectory('d');
    await disk().makeDirectory('e');
    const locks = [await disk().lock('d'), await disk().lock('e')];
    for (const lock of locks) await lock.release();
  });
}
