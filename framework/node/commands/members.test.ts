import { type Finished, varlog } from '../in-process-cli.fixture.ts';
import { closeAll, Observed } from '../observed.fixture.ts';

let node: Observed;
const run = (...args: string[]): Promise<Finished> =>
  varlog(['--endpoints', node.address, ...args]);

beforeAll(async () => {
  node = await Observed.start();
  await node.connect();
}, 30_000);
afterAll(closeAll);

test('the members are listed, for people and for programs', async () => {
  const { out } = await run('member', 'list');
  expect(out).toMatch(/^MEMBER +ADDRESS +STATE +VOTES +KNOWS LEVEL\n1 +\S+ +up +yes +\d+\n$/);
  expect(JSON.parse((await run('member', 'list', '--json')).out)).toEqual([
    expect.objectContaining({ id: 1, address: node.address, state: 'up', votes: true }),
  ]);
});

test.each([
  ['add', '1=127.0.0.1:1'],
  ['remove', '1'],
  ['remove', '7'],
  ['replace', '7', '8=127.0.0.1:1'],
  ['move', '7=127.0.0.1:1'],
])('member %s %s is refused, and the only member stays', async (...args) => {
  const { code, err } = await run('member', ...args, '--seconds', '5');
  expect(code).not.toBe(0);
  expect(err).toMatch(/^[A-Z_]+: .+; .+\.\n$/);
  expect(JSON.parse((await run('member', 'list', '--json')).out)).toHaveLength(1);
});

test('what is no id and address is told', async () => {
  for (const it of ['127.0.0.1:1', 'x=127.0.0.1:1', '0=127.0.0.1:1', '2=nowhere']) {
    expect(await run('member', 'add', it)).toMatchObject({
      ...{ code: 2, err: expect.stringContaining('as in 4=10.0.0.4:9092') },
    });
  }
});
