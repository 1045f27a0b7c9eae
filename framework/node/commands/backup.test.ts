import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { copyFile, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Topic, Varlog } from '../../log/index.ts';
import { type Finished, varlog } from '../in-process-cli.fixture.ts';
import { closeAll, Observed } from '../observed.fixture.ts';

let client: Varlog;
let topic: Topic;
let run: (...args: string[]) => Promise<Finished>;
let folder: string;

beforeAll(async () => {
  const node = await Observed.start();
  client = await node.connect();
  run = (...args) => varlog(['--endpoints', node.address, ...args]);
  topic = await client.createTopic();
  // Several chunks of a file, so that one can be cut off after the first.
  for (const it of 'abcd') await topic.append(new Uint8Array(400_000).fill(it.charCodeAt(0)));
  folder = mkdtempSync(join(tmpdir(), 'varlog-backup-'));
}, 30_000);
afterAll(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

test('a topic goes to a file and becomes a topic again, with the same records at the same positions', async () => {
  const file = join(folder, 'whole');
  const exported = await run('export', String(topic.id), file, '--json');
  const { records, first, last, hash, bytes } = JSON.parse(exported.out);
  expect({ records, first, last, bytes }).toEqual({
    ...{ records: 4, first: 1, last: 4 },
    bytes: (await stat(file)).size,
  });
  const imported = await run('import', file);
  expect(imported.out).toMatch(
    /^made topic (\d+) with 4 records of .*\nrecords 1 to 4 have the positions that they had\n$/,
  );
  expect(imported.out).toContain(`sum ${hash}`);
  const id = Number(/topic (\d+)/.exec(imported.out)![1]);
  const found: string[] = [];
  for await (const it of client.topic(id).read({ from: 1, to: 4 })) found.push(it.text()[0]!);
  expect(found).toEqual(['a', 'b', 'c', 'd']);
});

test('an interrupted export goes on where it stood, and its file is no other than a whole one', async () => {
  const [whole, file] = [join(folder, 'in one'), join(folder, 'in two')];
  expect((await run('export', String(topic.id), whole, '--to', '3')).out).toMatch(
    /^exported 3 records, 1 to 3, 1.2 MB, sum [0-9a-f]+\n$/,
  );
  await copyFile(whole, `${file}.part`);
  truncateSync(`${file}.part`, 900_000);
  const { code, err } = await run('export', String(topic.id), file, '--to', '3');
  expect([code, err]).toEqual([0, expect.stringContaining('going on after record 2')]);
  expect(await readFile(file)).toEqual(await readFile(whole));
});

test('a file that is there is not written over, and one that is missing or none of these is refused', async () => {
  const file = join(folder, 'something else');
  writeFileSync(file, 'something else');
  expect(await run('export', String(topic.id), file)).toMatchObject({
    ...{ code: 5, err: expect.stringContaining('remove it, or export to another file') },
  });
  expect(await readFile(file, 'utf8')).toBe('something else');
  const before = await client.topics();
  expect((await run('import', join(folder, 'missing'))).err).toContain('there is no file at');
  expect((await run('import', file)).code).not.toBe(0);
  expect(await client.topics()).toEqual(before);
});
