import assert from 'node:assert/strict';
import type { Disk } from '../../base/index.ts';
import {
  type Closable,
  type ContractTest,
  containing,
  contractTests,
  type Register,
} from './contract.ts';

/** A disk to be tested, with an empty root. */
export interface DiskUnderTest extends Closable {
  readonly disk: Disk;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const string = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/**
 * What every {@link Disk} has to do: what `base/disk.ts` promises, except for what only a power loss shows. `make` gives
 * a disk with an empty root.
 *
 * ```ts
 * for (const { title, run } of diskContract(makeDisk)) test(title, run);
 * ```
 */
export function diskContract(make: () => Promise<DiskUnderTest>): ContractTest[] {
  return contractTests(make, (test) => {
    fileTests(test);
    nameTests(test);
    inspectTests(test);
    lockTests(test);
  });
}

/** As an array of this code's own: what Node.js makes is none under jest. */
const listed = async (disk: Disk, path: string): Promise<string[]> => [...(await disk.list(path))];

function fileTests(test: Register<DiskUnderTest>): void {
  test('what was written is read back, chunks one after the other', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(0, [text('one'), text(''), text('two')]);
    await file.write(3, [text('TW')]);
    assert.equal(string(await file.read(0, 6)), 'oneTWo');
    assert.equal(await file.size(), 6);
    await file.close();
  });

  test('a durable write is a write', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(0, [text('abc')]);
    await file.writeDurably(1, [text('X'), text('YZ')]);
    assert.equal(string(await file.read(0, 9)), 'aXYZ');
    await file.writeDurably(6, []);
    assert.equal(await file.size(), 4);
    await file.close();
  });

  test('an empty write changes nothing', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(0, []);
    await file.write(0, [text('')]);
    assert.equal(await file.size(), 0);
    await file.close();
  });

  test('many chunks in one write arrive whole', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    const chunks = Array.from({ length: 2500 }, (_, i) => text(`${i},`));
    await file.write(0, chunks);
    const whole = chunks.map(string).join('');
    assert.equal(await file.size(), whole.length);
    assert.equal(string(await file.read(0, whole.length)), whole);
    await file.close();
  });

  test('the caller may use its buffers again once a write has resolved', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    const bytes = text('kept');
    await file.write(0, [bytes]);
    bytes.fill(0);
    assert.equal(string(await file.read(0, 4)), 'kept');
    const read = await file.read(0, 4);
    read.fill(0);
    assert.equal(string(await file.read(0, 4)), 'kept');
    await file.close();
  });

  test('a read is short only at the end of the file', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(0, [text('abc')]);
    assert.equal(string(await file.read(1, 100)), 'bc');
    assert.equal((await file.read(3, 10)).length, 0);
    assert.equal((await file.read(100, 10)).length, 0);
    await file.close();
  });

  test('a write behind the end leaves zeros in between', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(4, [text('x')]);
    assert.deepEqual([...(await file.read(0, 5))], [0, 0, 0, 0, 120]);
    await file.close();
  });

  test('truncate shortens and lengthens, and what comes back is zero', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(0, [text('abcdef')]);
    await file.truncate(2);
    await file.truncate(4);
    assert.deepEqual([...(await file.read(0, 10))], [97, 98, 0, 0]);
    await file.close();
  });

  test('a file that is opened again has its bytes; create keeps them, too', async ({ disk }) => {
    const first = await disk.open('a', 'create');
    await first.write(0, [text('abc')]);
    await first.sync();
    await first.close();
    for (const mode of ['existing', 'create'] as const) {
      const again = await disk.open('a', mode);
      assert.equal(string(await again.read(0, 3)), 'abc');
      await again.close();
    }
  });

  test('two handles of one file see the same bytes', async ({ disk }) => {
    const one = await disk.open('a', 'create');
    const two = await disk.open('a', 'existing');
    await one.write(0, [text('abc')]);
    assert.equal(string(await two.read(0, 3)), 'abc');
    await one.close();
    await two.close();
  });

  test('a handle outlives its name', async ({ disk }) => {
    const file = await disk.open('a', 'create');
    await file.write(0, [text('abc')]);
    await disk.remove('a');
    assert.equal(string(await file.read(0, 3)), 'abc');
    await file.close();
  });
}

function nameTests(test: Register<DiskUnderTest>): void {
  const create = async (disk: Disk, path: string, content = path): Promise<void> => {
    const file = await disk.open(path, 'create');
    await file.write(0, [text(content)]);
    await file.close();
  };
  const content = async (disk: Disk, path: string): Promise<string> => {
    const file = await disk.open(path, 'existing');
    const bytes = await file.read(0, await file.size());
    await file.close();
    return string(bytes);
  };

  test('a file that is not there is NOT_FOUND, and the message names it', async ({ disk }) => {
    await assert.rejects(disk.open('missing', 'existing'), {
      code: 'NOT_FOUND',
      message: containing('missing'),
    });
    await assert.rejects(disk.rename('missing', 'b'), { code: 'NOT_FOUND' });
  });

  test('names are listed sorted, a folder that is not there is empty', async ({ disk }) => {
    await disk.makeDirectory('d/e');
    for (const name of ['d/b', 'd/a', 'd/e/x']) await create(disk, name);
    assert.deepEqual(await listed(disk, 'd'), ['a', 'b', 'e']);
    assert.deepEqual(await listed(disk, 'd/e'), ['x']);
    assert.deepEqual(await listed(disk, 'nowhere'), []);
  });

  test('making a folder twice does nothing', async ({ disk }) => {
    await disk.makeDirectory('d/e');
    await create(disk, 'd/e/x');
    await disk.makeDirectory('d/e');
    assert.deepEqual(await listed(disk, 'd/e'), ['x']);
  });

  test('a folder is renamed with all that is in it', async ({ disk }) => {
    await disk.makeDirectory('d/e');
    await create(disk, 'd/e/x');
    await create(disk, 'd/y');
    await disk.makeDirectory('other');
    await disk.rename('d', 'other/f');
    await disk.syncDirectory('');
    await disk.syncDirectory('other');
    assert.deepEqual(await listed(disk, ''), ['other']);
    assert.deepEqual(await listed(disk, 'other/f'), ['e', 'y']);
    assert.equal(await content(disk, 'other/f/e/x'), 'd/e/x');
  });

  test('rename replaces, and the old name is gone', async ({ disk }) => {
    await create(disk, 'a');
    await create(disk, 'b');
    await disk.rename('a', 'b');
    await disk.syncDirectory('');
    assert.equal(await content(disk, 'b'), 'a');
    assert.deepEqual(await listed(disk, ''), ['b']);
  });

  test('remove takes a file, a folder with all in it, and nothing', async ({ disk }) => {
    await disk.makeDirectory('d/e');
    await create(disk, 'd/e/x');
    await create(disk, 'a');
    await disk.remove('a');
    await disk.remove('d');
    await disk.remove('d');
    assert.deepEqual(await listed(disk, ''), []);
    await assert.rejects(disk.open('d/e/x', 'existing'), { code: 'NOT_FOUND' });
  });

  test('a name that was removed can be used again, empty', async ({ disk }) => {
    await create(disk, 'a');
    await disk.remove('a');
    const file = await disk.open('a', 'create');
    assert.equal(await file.size(), 0);
    await file.close();
  });
}

function inspectTests(test: Register<DiskUnderTest>): void {
  test('a folder is as large as all files in it', async ({ disk }) => {
    for (const path of ['d/a', 'd/e/b', 'other']) {
      const file = await disk.open(path, 'create');
      await file.write(0, [text('12345')]);
      await file.close();
    }
    const { path, bytes, madeAt, usedBytes, totalBytes } = await disk.inspect('d');
    assert.equal(bytes, 10);
    assert.match(path, /^\/.*d$|^[A-Z]:/);
    assert.ok(path.endsWith(disk.pathOf('d')));
    assert.ok(madeAt >= 0 && usedBytes <= totalBytes);
    await assert.rejects(disk.inspect('none'), { code: 'NOT_FOUND' });
  });
}

function lockTests(test: Register<DiskUnderTest>): void {
  test('a folder can be locked once, and again after its release', async ({ disk }) => {
    await disk.makeDirectory('d');
    const lock = await disk.lock('d');
    await assert.rejects(disk.lock('d'), { code: 'DIRECTORY_IN_USE' });
    await lock.release();
    await lock.release();
    await (await disk.lock('d')).release();
  });

  test('of several that want it at once, one gets it', async ({ disk }) => {
    await disk.makeDirectory('d');
    const tries = await Promise.allSettled(Array.from({ length: 5 }, () => disk.lock('d')));
    const got = tries.filter((it) => it.status === 'fulfilled');
    assert.equal(got.length, 1);
    await got[0]!.value.release();
  });

  test('locks of two folders have nothing to do with each other', async ({ disk }) => {
    await disk.makeDirectory('d');
    await disk.makeDirectory('e');
    const locks = [await disk.lock('d'), await disk.lock('e')];
    for (const lock of locks) await lock.release();
  });
}
