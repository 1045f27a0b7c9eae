import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RealCluster, startRealCluster } from '../../log/client/real-cluster.fixture.ts';
import { type Topic, Varlog } from '../../log/index.ts';
import { type StateMachine, snapshotDirectory, startReplica } from '../../smr/index.ts';
import { varlog } from '../in-process-cli.fixture.ts';

type Add = { key: string; add: number };
type Sums = Record<string, number>;

class Adder implements StateMachine<Add, number, Sums> {
  private sums: Sums = {};
  readonly rules = 2;
  apply({ key, add }: Add): number {
    this.sums[key] = (this.sums[key] ?? 0) + add;
    return this.sums[key];
  }
  snapshot(): Sums {
    return this.sums;
  }
  restore(sums: Sums): void {
    this.sums = sums;
  }
}

/** A module with a version of the machine; `sum` is what it makes of the third command and those after it. */
const moduleOf = (sum: string): string => `
class Adder {
  sums = {};
  count = 0;
  rules = 2;
  apply({ key, add }) {
    const sum = (this.sums[key] ?? 0) + add;
    this.sums[key] = ++this.count < 3 ? sum : ${sum};
    return this.sums[key];
  }
  snapshot() { return this.sums; }
  restore(sums) { this.sums = sums; }
  inspect(key) { return this.sums[key]; }
}
exports.machine = { make: () => new Adder(), name: 'adder' };
`;

let cluster: RealCluster;
let client: Varlog;
let topic: Topic;
let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varlog-replay-'));
  writeFileSync(at('old.cjs'), moduleOf('sum'));
  writeFileSync(at('new.cjs'), moduleOf('sum + 1'));
  writeFileSync(at('random.cjs'), moduleOf('sum + Math.random()'));
  writeFileSync(at('three.cjs'), moduleOf('sum + 1').replace('++this.count', 'add'));
  writeFileSync(at('throws.cjs'), moduleOf('nothing.here'));
  writeFileSync(at('empty.cjs'), 'exports.other = 1;');
  cluster = await startRealCluster(1);
  client = await Varlog.connect(cluster.endpoint);
  await client.ready({ storageNodes: 1 });
  topic = await client.createTopic();
}, 30_000);
afterAll(async () => {
  await client.close();
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

const run = (...args: string[]) => varlog(['--endpoints', cluster.endpoint, ...args]);

test('replay finds where versions part, why tells what made a value, upgrade raises the rules', async () => {
  const id = String(topic.id);
  const replica = await startReplica({
    machine: new Adder(),
    name: 'adder',
    log: topic,
    snapshots: snapshotDirectory(at('snapshots')),
    snapshotEvery: 3,
  });
  const adds = [1, 2, 3, 4].map((add) => ({ key: add === 2 ? 'b' : 'a', add }));
  for (const it of adds) await replica.execute(it);
  await replica.close();

  const replay = (...args: string[]) => run('replay', id, '--machine', ...args);
  const same = await replay(at('old.cjs'), '--against', at('old.cjs'));
  expect(same).toMatchObject({ code: 0, out: 'same: 4 commands up to position 5\n' });
  expect((await replay(at('old.cjs'), '--twice')).code).toBe(0);

  const differs = await replay(at('new.cjs'), '--against', at('old.cjs'));
  expect(differs.code).toBe(1);
  expect(differs.out).toBe(
    `they differ at position 4, command {"key":"a","add":3}\nresult at $\n  ${at('old.cjs')}: 4\n  ${at('new.cjs')}: 5\n`,
  );
  const asJson = await replay(at('new.cjs'), '--against', at('old.cjs'), '--json', '--to', '4');
  expect(JSON.parse(asJson.out)).toMatchObject({
    topic: topic.id,
    same: false,
    difference: { position: 4, kind: 'result', path: '$', left: '4', right: '5' },
  });
  expect((await replay(at('old.cjs'), '--against', at('new.cjs'), '--to', '3')).code).toBe(0);
  expect((await replay(at('random.cjs'), '--twice')).code).toBe(1);
  const throwing = await replay(at('throws.cjs'), '--against', at('old.cjs'));
  expect(throwing).toMatchObject({ code: 1, out: expect.stringMatching(/^failure at \$$/m) });
  const both = await replay(at('throws.cjs'), '--twice');
  expect(both).toMatchObject({ code: 70, err: expect.stringMatching(/APPLY_FAILED.*position 4/) });
  // The snapshot stands for what the old version did: the new one begins its count behind it.
  const rest = await replay(
    at('new.cjs'),
    '--against',
    at('old.cjs'),
    '--snapshots',
    at('snapshots'),
  );
  expect(rest).toMatchObject({ code: 0, out: expect.stringMatching(/^same: [12] commands/) });

  const because = await run('why', id, '--machine', at('old.cjs'), '--key', 'a');
  expect(because.out).toMatch(
    /^2\t20\S+Z\t\{"key":"a","add":1\}\t1\n4\t\S+\t\{"key":"a","add":3\}\t4\n5\t\S+\t\{.*\}\t8\n$/,
  );
  const lines = (await run('why', id, '--machine', at('old.cjs'), '--key', 'b', '--json')).out;
  expect(JSON.parse(lines)).toMatchObject({ position: 3, result: 2, value: 2 });

  const raised = await run('upgrade', id, '2', '--name', 'adder', '--json');
  expect(JSON.parse(raised.out)).toMatchObject({ rules: 2, position: 6, name: 'adder' });
  await using again = await startReplica({ machine: new Adder(), name: 'adder', log: topic });
  await again.caughtUp();
  expect(await again.upgradeTo(2)).toBe(2);
}, 60_000);

test('replay --follow compares what is appended meanwhile, from a fork on', async () => {
  const own = await client.createTopic();
  const id = String(own.id);
  const replica = await startReplica({ machine: new Adder(), name: 'adder', log: own });
  await replica.execute({ key: 'a', add: 3 });
  await replica.execute({ key: 'a', add: 1 });
  const files = ['--machine', at('three.cjs'), '--against', at('old.cjs')];
  // What adds three differs, and the first command did: the fork lies behind it.
  let added: Promise<unknown> | undefined;
  const wrote = (add: number) => (text: string) => {
    if (text.includes('comparing what comes after position'))
      added ??= replica.execute({ key: 'b', add });
  };
  const found = await varlog(
    ['--endpoints', cluster.endpoint, 'replay', id, ...files, '--follow'],
    { wrote: wrote(3) },
  );
  await added;
  expect(found).toMatchObject({ code: 1, out: expect.stringMatching(/position 4, command .*"b"/) });
  added = undefined;
  let stopped: Promise<unknown> | undefined;
  const same = await varlog(['--endpoints', cluster.endpoint, 'replay', id, ...files, '--follow'], {
    wrote: (text) => {
      wrote(1)(text);
      // Once: a second one would end the next command.
      stopped ??= added?.then(() => process.emit('SIGINT'));
    },
  });
  await stopped;
  expect(same).toMatchObject({ code: 0, out: expect.stringMatching(/^same: [01] commands up to/) });
  const from = await run('replay', id, ...files, '--fork-at', '3');
  expect(from).toMatchObject({ code: 1, out: expect.stringMatching(/position 4/) });
  expect((await run('replay', id, ...files, '--fork-at', '4')).code).toBe(0);
  const both = await run('replay', id, ...files, '--follow', '--to', '3');
  expect(both).toMatchObject({ code: 2, err: expect.stringMatching(/INVALID_ARGUMENT.*--follow/) });
  await replica.close();
}, 60_000);

test('what cannot be replayed is told, with another exit code than a difference', async () => {
  const id = String(topic.id);
  expect((await run('replay', id, '--machine', at('old.cjs'))).code).toBe(2);
  expect(
    (await run('replay', id, '--machine', at('old.cjs'), '--against', at('old.cjs'), '--twice'))
      .code,
  ).toBe(2);
  const missing = await run('replay', id, '--machine', at('nowhere.cjs'), '--twice');
  expect(missing).toMatchObject({ code: 2, err: expect.stringMatching(/cannot be loaded/) });
  const empty = await run('replay', id, '--machine', at('empty.cjs'), '--twice');
  expect(empty).toMatchObject({ code: 2, err: expect.stringMatching(/exports no state machine/) });
  expect((await run('replay', '999', '--machine', at('old.cjs'), '--twice')).code).toBe(4);
}, 60_000);
