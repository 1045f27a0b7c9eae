import {
  type FileHandle,
  mkdir,
  mkdtemp,
  open as nodeOpen,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskContract } from '../testing/contracts/index.ts';
import { RealDisk } from './disk.ts';
import { diskError } from './disk-error.ts';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'varlog-disk-'));

describe('the real disk keeps the contract of all disks', () => {
  const make = async () => {
    const root = await folder();
    return { disk: new RealDisk(root), close: () => rm(root, { recursive: true }) };
  };
  for (const { title, run } of diskContract(make)) test(title, run);
});

describe('a file of the real disk', () => {
  const HELD = join(tmpdir(), `varlog-short-${process.pid}`);
  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(HELD, { recursive: true });
  });

  /** The methods of Node's file handles, which no module exports. */
  async function handles(): Promise<FileHandle> {
    const handle = await nodeOpen(HELD, 'r');
    await handle.close();
    return Object.getPrototypeOf(handle) as FileHandle;
  }

  test('goes on where the operating system wrote or read less than asked', async () => {
    await mkdir(HELD);
    const methods = await handles();
    const { writev } = methods;
    const read = methods.read as (...values: unknown[]) => Promise<unknown>;
    jest.spyOn(methods, 'writev').mockImplementation(function (this: FileHandle, chunks, at) {
      return writev.call(this, [(chunks[0] as Uint8Array).subarray(0, 2)], at!);
    });
    const reads = jest.spyOn(methods, 'read') as unknown as jest.SpyInstance;
    reads.mockImplementation(function (this: FileHandle, into, from, length, at) {
      return read.call(this, into, from, Math.min(length, 2), at);
    });
    const file = await new RealDisk(HELD).open('a', 'create');
    const chunks = ['one', '', 'twenty', 'x'].map((it) => new TextEncoder().encode(it));
    await file.write(5, chunks);
    expect(new TextDecoder().decode(await file.read(5, 100))).toBe('onetwentyx');
    await file.close();
  });
});

const onLinux = process.platform === 'linux' ? test : test.skip;

describe('what the real disk does once', () => {
  let root: string;
  beforeEach(async () => {
    root = await folder();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(root, { recursive: true });
  });

  const open = async (): Promise<number> => {
    const handles = await readdir('/proc/self/fd');
    const paths = handles.map((it) => readlink(`/proc/self/fd/${it}`).catch(() => ''));
    return (await Promise.all(paths)).filter((it) => it.startsWith(root)).length;
  };
  onLinux('a file is open once, however it is written and read', async () => {
    const file = await new RealDisk(root).open('a', 'create');
    const reading = file.read(0, 10);
    await Promise.all([1, 2, 3].map((it) => file.writeDurably(it, [new Uint8Array([it])])));
    await file.write(4, [new Uint8Array([4])]);
    await file.sync();
    expect([await reading, await open()]).toEqual([Buffer.alloc(0), 1]);
    expect([...(await file.read(0, 10))]).toEqual([0, 1, 2, 3, 4]);
    await file.close();
    expect(await open()).toBe(0);
  });

  test('a folder is synced once for all who ask meanwhile, and anew for who asks during a sync', async () => {
    const handle = await nodeOpen(root, 'r');
    const methods = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const { sync } = methods;
    let during: (() => void) | undefined;
    const syncs = jest.spyOn(methods, 'sync').mockImplementation(async function (this: FileHandle) {
      during?.();
      await sync.call(this);
    });
    const disk = new RealDisk(root);
    await Promise.all(Array.from({ length: 20 }, () => disk.syncDirectory('')));
    expect(syncs).toHaveBeenCalledTimes(1);
    const late: Promise<void>[] = [];
    during = () => {
      during = undefined;
      for (let i = 0; i < 20; i++) late.push(disk.syncDirectory(''));
    };
    await disk.syncDirectory('');
    await Promise.all(late);
    expect(syncs).toHaveBeenCalledTimes(3);
    // A failure is told to all who shared it, and to nobody else.
    syncs.mockRejectedValueOnce(new Error('EIO'));
    const failing = await Promise.allSettled([disk.syncDirectory(''), disk.syncDirectory('')]);
    expect(failing.map((it) => it.status)).toEqual(['rejected', 'rejected']);
    await disk.syncDirectory('');
    expect(syncs).toHaveBeenCalledTimes(5);
  });
});

describe('errors of the real disk', () => {
  let root: string;
  beforeEach(async () => {
    root = await folder();
  });
  afterEach(() => rm(root, { recursive: true }));

  // A device that refuses every write in the way a full disk does.
  const onLinux = process.platform === 'linux' ? test : test.skip;
  onLinux('a full disk is DISK_FULL, which may pass', async () => {
    const file = await new RealDisk('/dev').open('full', 'existing');
    await expect(file.write(0, [Uint8Array.of(1)])).rejects.toMatchObject({
      code: 'DISK_FULL',
      retryable: true,
      message: expect.stringContaining('/dev/full'),
    });
    await file.close();
  });

  test('what could not be opened for durable writes is opened when the next one comes', async () => {
    const file = await new RealDisk(root).open('file', 'create');
    await rm(join(root, 'file'));
    const write = () => file.writeDurably(0, [Uint8Array.of(1)]);
    await expect(write()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await writeFile(join(root, 'file'), '');
    await write();
    await file.close();
    expect([...(await readFile(join(root, 'file')))]).toEqual([1]);
  });

  test('a folder in the place of a file is not called a failing disk', async () => {
    await mkdir(join(root, 'taken'));
    await expect(new RealDisk(root).open('taken', 'existing')).rejects.toMatchObject({
      code: 'DISK_FAILED',
      message: expect.stringContaining('a folder lies where a file belongs'),
    });
  });

  test('a path through a file says so', async () => {
    await writeFile(join(root, 'file'), '');
    const disk = new RealDisk(join(root, 'file'));
    await expect(disk.makeDirectory('below')).rejects.toMatchObject({
      code: 'DIRECTORY_UNWRITABLE',
      message: expect.stringContaining(join(root, 'file')),
    });
  });

  onLinux('a path to where nothing can be made says so, and is not tried for ever', async () => {
    const disk = new RealDisk('/proc/varlog');
    const refused = { code: 'NOT_FOUND', message: expect.stringContaining('/proc/varlog') };
    await expect(disk.makeDirectory('a/b')).rejects.toMatchObject(refused);
    await expect(disk.open('a/b', 'create')).rejects.toMatchObject(refused);
    await expect(disk.lock('a/b')).rejects.toMatchObject(refused);
  });

  test.each([
    ['EACCES', 'DIRECTORY_UNWRITABLE'],
    ['EPERM', 'DIRECTORY_UNWRITABLE'],
    ['EROFS', 'DIRECTORY_UNWRITABLE'],
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EIO', 'DISK_FAILED'],
    ['EMFILE', 'DISK_FULL'],
    ['ENFILE', 'DISK_FULL'],
    ['EFBIG', 'DISK_FULL'],
    ['ENAMETOOLONG', 'DIRECTORY_UNWRITABLE'],
    ['ELOOP', 'DIRECTORY_UNWRITABLE'],
    ['EEXIST', 'ALREADY_EXISTS'],
  ])('%s becomes %s and names the path', (errno, code) => {
    const cause = Object.assign(new Error(`${errno}: refused`), { code: errno });
    expect(diskError('/data/x', cause)).toMatchObject({
      code,
      cause,
      message: expect.stringContaining('/data/x'),
      details: { path: '/data/x', errno },
    });
  });

  test('paths cannot be told apart by a missing folder: create makes it', async () => {
    const file = await new RealDisk(root).open('a/b/c', 'create');
    await file.close();
    expect(await new RealDisk(root).list('a/b')).toEqual(['c']);
    await mkdir(join(root, 'd'));
    await new RealDisk(root).makeDirectory('d');
  });
});
