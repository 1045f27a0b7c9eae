import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Varlog, type VarlogError } from 'varlog/log';
import { startReplica } from 'varlog/smr';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program, ROOT } from './local-processes.ts';
import { eventually } from './processes.ts';

/** A sum, which no replica can apply -1 to. */
class Fragile {
  sum = 0;
  apply(amount: number): number {
    if (amount === -1) throw new Error('a bug');
    this.sum += amount;
    return this.sum;
  }
  snapshot(): number {
    return this.sum;
  }
  restore(sum: number): void {
    this.sum = sum;
  }
}

describe('the varlog command', () => {
  const processes = new LocalProcesses();
  const directory = processes.folder('up');
  let port: string;
  let httpPort: string;
  let cluster: Program;

  const up = async (): Promise<void> => {
    cluster = processes.program('framework/node/cli.js', [
      'up',
      ...['--port', port, '--http-port', httpPort, '--directory', directory],
    ]);
    cluster.start();
    await eventually(async () => {
      if (!cluster.output.includes('ready: ')) throw new Error(cluster.output);
    });
  };
  const run = (args: string[], input?: string) => {
    const cli = join(ROOT, 'dist/framework/node/cli.js');
    const all = [cli, '--endpoints', `127.0.0.1:${port}`, ...args];
    const options = { encoding: 'utf8', timeout: 20_000, input: input ?? '' } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, all, options);
    return { status, out: stdout, err: stderr };
  };

  beforeAll(async () => {
    [port, httpPort] = (await freeAddresses(2)).map((it) => it.split(':')[1]!) as [string, string];
    await up();
  }, 60_000);

  afterAll(async () => {
    await processes[Symbol.asyncDispose]();
  });

  test('up says where it is and what to type next', () => {
    expect(cluster.output).toContain(`127.0.0.1:${port}`);
    expect(cluster.output).toContain(`npx varlog append 1 "hello" --endpoints 127.0.0.1:${port}`);
  });

  test('append, read and trim, for people and for programs', () => {
    expect(run(['append', '1', 'a', 'b'])).toMatchObject({ status: 0, out: '1..2\n' });
    expect(run(['append', '1'], 'c\nd\n').out).toBe('3..4\n');
    expect(run(['read', '1', '--from', '3']).out).toBe('3\tc\n4\td\n');
    const json = run(['read', '1', '--to', '1', '--json']).out;
    expect(JSON.parse(json)).toMatchObject({ glsn: 1, llsn: 1, text: 'a' });
    const produced = run(['append', '1', 'e', 'f', '--producer', '7', '--json']).out;
    expect(JSON.parse(produced)).toMatchObject({
      glsn: 5,
      count: 2,
      sequence: 0,
      duplicate: false,
    });
    expect(run(['append', '1', '--producer', '7'], 'g\nh\n').out).toBe('7..8\n');
    expect(run(['append', '1', 'x', '--producer', '7', '--log-stream', '1']).err).toMatch(
      /exclude/,
    );
    expect(run(['trim', '1', '1']).status).toBe(0);
    expect(run(['read', '1', '--from', '1']).status).toBe(5);
  });

  test('a topic is limited, explained, exported and imported', async () => {
    const made = run(['topic', 'create', '--retain-bytes', '10GB', '--retain-for', '7d', '--json']);
    const id = String(JSON.parse(made.out).id);
    run(['append', id], Array.from({ length: 20 }, (_, i) => `record ${i}\n`).join(''));
    expect(run(['topic', 'describe', id]).out).toContain('the last 10 GB, at most 1 w');
    expect(run(['topic', 'update', id, '--retain-for', 'none']).out).toContain('10 GB\n');
    expect(run(['status']).out).toMatch(new RegExp(`^${id} +the last 10 GB$`, 'm'));
    expect(run(['trim', id, '--explain']).out).toMatch(/retention +0 +\d+/);
    expect(run(['trim', id]).status).toBe(2);
    run(['trim', id, '3']);

    const folder = processes.folder('backup');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'topic');
    const exported = JSON.parse(run(['export', id, file, '--json']).out);
    expect(exported).toMatchObject({ first: 4, last: 20, records: 17 });
    expect(run(['export', id, file]).status).not.toBe(0);
    const bytes = readFileSync(file);
    const cut = join(folder, 'cut');
    writeFileSync(cut, bytes.subarray(0, -50));
    expect(run(['import', cut]).err).toMatch(/CORRUPT.*at byte \d+, where record \d+ should be/);
    // What an interrupted export leaves is gone on with.
    writeFileSync(join(folder, 'again.part'), bytes.subarray(0, -50));
    const again = run(['export', id, join(folder, 'again')]);
    expect(again.err).toMatch(/going on after record \d+/);
    expect(readFileSync(join(folder, 'again')).equals(bytes)).toBe(true);
    const imported = JSON.parse(run(['import', file, '--json']).out);
    expect(imported).toMatchObject({ first: 4, last: 20, shift: 0, hash: exported.hash });
    expect(run(['read', String(imported.id)]).out).toBe(run(['read', id]).out);
    expect(run(['import', join(folder, 'none')]).err).toMatch(/there is no file/);
  }, 240_000);
  test('records have a key, headers and a time, by which they are read', () => {
    const { id } = JSON.parse(run(['topic', 'create', '--log-streams', '2', '--json']).out);
    const append = ['append', String(id), '--key', 'k', '--header', 'a=b', '--header', 'c=d=e'];
    expect(run([...append, 'first'])).toMatchObject({ status: 0, out: '1\n' });
    expect(run(['append', String(id)], 'second\n').status).toBe(0);
    const lines = run(['read', String(id), '--headers', '--json'])
      .out.trim()
      .split('\n');
    const [first, second] = lines.map((it) => JSON.parse(it));
    expect(first).toMatchObject({
      text: 'first',
      key: 'k',
      headers: [
        ['a', 'b'],
        ['c', 'd=e'],
      ],
    });
    expect(second).toMatchObject({ text: 'second', headers: [] });
    expect(second).not.toHaveProperty('key');
    const shown = run(['read', String(id), '--headers', '--to', '1']).out;
    expect(shown).toBe(`1\t${new Date(first.timestamp).toISOString()}\tk\ta=b c=d=e\tfirst\n`);
    const since = (time: string) => run(['read', String(id), '--since', time]).out;
    expect(since(new Date(second.timestamp).toISOString())).toBe('2\tsecond\n');
    expect(since('1h')).toBe('1\tfirst\n2\tsecond\n');
    expect(run(['read', String(id), '--since', '1h', '--from', '1']).err).toContain('exclude');
    expect(run(['topic', 'delete', String(id)]).status).toBe(0);
  }, 120_000);

  test('topics are made, listed, described and deleted', () => {
    const { id } = JSON.parse(run(['topic', 'create', '--log-streams', '2', '--json']).out);
    expect(JSON.parse(run(['topic', 'ls', '--json']).out)).toContainEqual(
      expect.objectContaining({ id }),
    );
    expect(run(['topic', 'describe', String(id)]).out).toContain('open');
    expect(run(['topic', 'delete', String(id)]).status).toBe(0);
    expect(run(['topic', 'describe', String(id)]).status).toBe(4);
  });

  test('log-stream prefer: a replica is to be the primary', () => {
    const { logStreams } = JSON.parse(run(['topic', 'describe', '1', '--json']).out);
    const id = String(logStreams[0].id);
    const { status, out } = run(['log-stream', 'prefer', id, '1', '--json']);
    expect([status, JSON.parse(out)]).toEqual([0, { id: Number(id), preferred: 1 }]);
    const nowhere = run(['log-stream', 'prefer', id, '9']);
    expect(nowhere).toMatchObject({
      status: 2,
      err: expect.stringMatching(/storage node 9 has no replica of log stream .*choose one of 1/s),
    });
    expect(run(['log-stream', 'prefer', '999', '1']).status).toBe(4);
  });

  test('skip: replicas pass over a command that none of them can apply', async () => {
    await using varlog = await Varlog.connect(`varlog://127.0.0.1:${port}`);
    const topic = await varlog.createTopic();
    const name = 'sum';
    const start = () => startReplica({ machine: new Fragile(), name, log: topic });
    let position: number;
    {
      await using replica = await start();
      expect(await replica.execute(3)).toBe(3);
      const failed = replica.execute(-1).catch((error: unknown) => error as VarlogError);
      const { code, cause } = (await failed) as VarlogError;
      expect(code).toBe('APPLY_FAILED');
      position = (cause as VarlogError).details['position'] as number;
    }
    {
      await using replica = await start();
      await expect(replica.caughtUp()).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    }
    const skip = (...args: string[]) => run(['skip', String(topic.id), ...args, '--json']);
    expect(skip(String(position))).toMatchObject({ status: 4 });
    expect(skip(String(position + 1), '--name', name)).toMatchObject({ status: 2 });
    const { status, out } = skip(String(position), '--name', name);
    expect([status, JSON.parse(out)]).toEqual([
      0,
      { topic: topic.id, name, skipped: position, order: position + 1 },
    ]);
    await using replica = await start();
    expect(await replica.execute(4)).toBe(7);
    const applied = skip(String(position - 1), '--name', name);
    expect(applied.status).toBe(5);
    expect(JSON.parse(applied.err).error).toMatchObject({ code: 'FAILED_PRECONDITION' });
  }, 60_000);

  test('what somebody holds is trimmed by force, or once it is released', async () => {
    const { id } = JSON.parse(run(['topic', 'create', '--json']).out);
    run(['append', String(id), 'a', 'b', 'c']);
    const varlog = await Varlog.connect(`127.0.0.1:${port}`);
    await varlog.topic(id).hold('the reports', 1);
    await varlog.close();
    expect(run(['topic', 'describe', String(id)]).out).toMatch(/the reports +1/);
    const refused = run(['trim', String(id), '2']);
    expect(refused.status).not.toBe(0);
    expect(refused.err).toContain(`varlog topic release ${id} 'the reports'`);
    expect(run(['trim', String(id), '2', '--force']).status).toBe(0);
    expect(run(['trim', String(id), '3']).status).not.toBe(0);
    expect(run(['topic', 'release', String(id), 'the reports']).status).toBe(0);
    expect(run(['trim', String(id), '3']).status).toBe(0);
  });

  test('status and doctor', () => {
    const status = JSON.parse(run(['status', '--json']).out);
    expect(status).toMatchObject({
      clusterId: 1,
      leader: 1,
      storageNodes: [{ id: 1, alive: true }],
    });
    const doctor = run(['doctor', '--directory', directory]);
    expect(doctor.out).toContain('every node is up');
  });

  test.each([
    ['called wrongly', ['append'], 2],
    ['a number that is none', ['read', '1', '--from', 'x'], 2],
    ['no such command', ['fly'], 2],
    ['no such topic', ['append', '99', 'x'], 4],
  ])('%s: exit code', (_, args, code) => {
    expect(run(args).status).toBe(code);
  });

  test('no cluster: exit code 3, and how to start one', () => {
    const { status, err } = run(['append', '1', 'x', '--endpoints', '127.0.0.1:1', '--json']);
    expect(status).toBe(3);
    expect(JSON.parse(err).error).toMatchObject({ code: 'UNREACHABLE' });
    expect(err).toContain('varlog up');
  }, 30_000);

  test('health and metrics', async () => {
    const get = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${httpPort}${path}`)).text();
    expect(await get('/livez')).toBe('alive\n');
    expect(await get('/readyz')).toBe('ready\n');
    expect(await get('/metrics')).toMatch(/^varlog_replica_committed_llsn\{.*\} \d+$/m);
  });

  test('Ctrl-C ends it cleanly; it goes on with its data; another size is refused', async () => {
    await cluster.end('SIGINT');
    await up();
    expect(run(['read', '1', '--from', '8']).out).toBe('8\th\n');
    const flags = ['up', '--nodes', '3', '--directory', directory];
    expect(run(flags)).toMatchObject({ status: 2, err: expect.stringContaining('a cluster of 1') });
  }, 60_000);
});
