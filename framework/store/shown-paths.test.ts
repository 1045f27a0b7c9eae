import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VarlogError } from '../base/index.ts';
import { RealDisk } from '../runtime/index.ts';
import { DirectoryIdentity, Journal, jsonFormat, SegmentedLog, StateFile } from './index.ts';

let root: string;
let disk: RealDisk;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'varlog-paths-'));
  disk = new RealDisk(root);
});
afterEach(async () => {
  for (const it of logs.splice(0)) await it.close().catch(() => {});
  await rm(root, { recursive: true });
});

const frame = { position: 1, count: 1, epoch: 1, payload: Uint8Array.of(1) };
const log = { directory: 'a/log', label: 'log' };
const owner = { clusterId: 1, nodeId: 1, kind: 'storage node' };
const logs: SegmentedLog[] = [];
const openLog = async () => {
  const opened = await SegmentedLog.open({ disk, ...log });
  logs.push(opened);
  return opened;
};
const openState = () => StateFile.open(disk, 'a/value', 'value', jsonFormat());

async function writtenLog(): Promise<string> {
  const opened = await openLog();
  opened.append([frame]);
  await opened.flushed(1);
  await opened.close();
  const [segment] = (await readdir(join(root, 'a/log'))).filter((it) => it.endsWith('.segment'));
  return join(root, 'a/log', segment!);
}

/** What goes wrong, and the file or folder of which that is said. */
const TROUBLES: [string, string, () => Promise<unknown>][] = [
  [
    'a damaged value',
    'a/value',
    async () => {
      await (await openState()).write({});
      await truncate(join(root, 'a/value'), 3);
      return openState();
    },
  ],
  [
    'a value that cannot be replaced',
    'a/value',
    async () => {
      const state = await openState();
      await disk.makeDirectory('a/value');
      return state.write({});
    },
  ],
  [
    'a damaged header',
    'a/log/',
    async () => {
      await truncate(await writtenLog(), 3);
      return openLog();
    },
  ],
  [
    'a damaged frame',
    'a/log/',
    async () => {
      const path = await writtenLog();
      const opened = await openLog();
      await truncate(path, 512);
      return opened.read(1, 1);
    },
  ],
  [
    'a segment that is missing',
    'a/log',
    async () => {
      await rm(await writtenLog());
      return openLog();
    },
  ],
  [
    'a state that is missing',
    'a/log',
    async () => {
      await writtenLog();
      await rm(join(root, 'a/log/state'));
      return openLog();
    },
  ],
  [
    'a log that cannot be written',
    'a/log',
    async () => {
      const opened = await openLog();
      await writeFile(join(root, 'a'), 'in its place');
      opened.append([frame]);
      return opened.flushed(1);
    },
  ],
  [
    'a journal that is open already',
    'a/journal',
    async () => {
      const journal = await Journal.open({ disk, directory: 'a/journal', label: 'journal' });
      await journal.open('log');
      return journal.open('log').finally(() => journal.close());
    },
  ],
  [
    'the folder of another node',
    'a/node',
    async () => {
      await DirectoryIdentity.claim(disk, 'a/node', owner, 'disk');
      return DirectoryIdentity.claim(disk, 'a/node', { ...owner, nodeId: 2 }, 'disk');
    },
  ],
];

test.each(TROUBLES)('%s is told with the whole path', async (_, path, run) => {
  const error = (await run().then(
    () => undefined,
    (it: unknown) => it,
  )) as VarlogError;
  expect(error.message).toContain(join(root, path));
  for (const name of ['path', 'directory'])
    if (name in error.details) expect(error.details[name]).toContain(join(root, path));
});
