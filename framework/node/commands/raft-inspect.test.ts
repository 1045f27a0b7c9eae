import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytes, GroupFixture } from '../../raft/group.fixture.ts';
import { varlog } from '../in-process-cli.fixture.ts';

test('raft-inspect shows a member, lists entries, and ends by what is wrong', async () => {
  const fixture = await GroupFixture.start(1);
  const folder = join(fixture.root, '1');
  const leader = await fixture.leader();
  await leader.append([bytes('buy milk'), Uint8Array.of(0, 255)]);
  expect(await varlog(['raft-inspect', folder])).toMatchObject({ code: 5, out: '' });
  await fixture.stop(1);

  const shown = await varlog(['raft-inspect', folder, '--from', '2', '--values']);
  expect(shown.code).toBe(0);
  expect(shown.out).toMatch(/^2\t1\tcommand\t8\tbuy milk\n3\t1\tcommand\t2\tbase64:AP8=\nmember /);
  expect(shown.out).toMatch(/term {7}1, voted for 1\nentries {4}1 to 3, the last one of term 1/);
  const other = await varlog(['raft-inspect', folder, '--group', 'other']);
  expect(other).toMatchObject({ code: 4, err: expect.stringContaining('it has: test') });
  const json = await varlog(['raft-inspect', folder, '--json', '--to', '2']);
  const lines = json.out.trimEnd().split('\n');
  expect(lines.map((it) => JSON.parse(it))).toMatchObject([
    { index: 1, term: 1, kind: 'configuration' },
    { index: 2, term: 1, kind: 'command', bytes: 8 },
    { groupId: 'test', memberId: 1, members: { voters: [1] }, damage: [] },
  ]);

  const [name] = (await readdir(join(folder, 'entries'))).filter((it) => it.endsWith('.segment'));
  const path = join(folder, 'entries', name!);
  const content = await readFile(path);
  content[content.indexOf('buy milk')]! ^= 1;
  await writeFile(path, content);
  const damaged = await varlog(['raft-inspect', folder]);
  expect(damaged).toMatchObject({ code: 6, err: expect.stringContaining('CORRUPT') });
  expect(damaged.out).toMatch(/damage {5}CORRUPT: .*segment is damaged at byte \d+/);
  expect((await varlog(['raft-inspect', fixture.root])).code).toBe(4);
  await fixture.end();
});
