import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { startStore } from '../store.fixture.ts';
import { describeWith } from './etcd.fixture.ts';

const run = promisify(execFile);
const env = { ...process.env, ETCDCTL_API: '3' };

/** What the command says and how it ends, given lines to read. */
async function etcdctl(args: readonly string[], input = ''): Promise<string> {
  const running = run('etcdctl', ['--command-timeout', '20s', ...args], { env });
  running.child.stdin!.end(input);
  try {
    return (await running).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}${stderr.slice(stderr.indexOf('Error:'))}`;
  }
}

describeWith('etcdctl', 'etcdctl, as it comes', () => {
  test('reads, writes, watches, and holds leases and locks', async () => {
    await using store = await startStore();
    const ctl = (args: string, input?: string): Promise<string> =>
      etcdctl(['--endpoints', store.grpc, ...args.split(' ')], input);
    expect(await ctl('put a 1')).toBe('OK\n');
    expect(await ctl('put a 2 --prev-kv')).toBe('OK\na\n1\n');
    expect(await ctl('get a')).toBe('a\n2\n');
    expect(await ctl('get a --rev=2 --print-value-only')).toBe('1\n');
    for (const key of ['b1', 'b2', 'b3']) await ctl(`put ${key} ${key}`);
    expect(await ctl('get --prefix b --limit=2 --keys-only')).toBe('b1\n\nb2\n\n');
    expect(await ctl('get --prefix b --order=DESCEND --sort-by=MODIFY --print-value-only')).toBe(
      'b3\nb2\nb1\n',
    );
    const txn = 'value("a") = "2"\nversion("x") = "0"\n\nput x y\nget a\n\nput a z\n\n';
    expect(await ctl('txn', txn)).toBe('SUCCESS\n\nOK\n\na\n2\n');
    expect(await ctl('txn', txn)).toMatch(/^FAILURE/);
    expect(await ctl('del --prefix b')).toBe('3\n');
    const granted = /lease ([0-9a-f]+) granted with TTL\(600s\)/.exec(await ctl('lease grant 600'));
    const [, lease] = granted!;
    await ctl(`put l 1 --lease=${lease}`);
    expect(await ctl(`lease timetolive ${lease} --keys`)).toMatch(
      /granted with TTL\(600s\), remaining\(59\ds\), attached keys\(\[l\]\)/,
    );
    expect(await ctl(`lease keep-alive --once ${lease}`)).toMatch(/keepalived with TTL\(600\)/);
    expect(await ctl(`lease revoke ${lease}`)).toMatch(/revoked/);
    expect(await ctl('get l')).toBe('');
    expect(await ctl('lock name echo held')).toBe('held\n');
    expect(await ctl('compact 5')).toBe('compacted revision 5\n');
    expect(await ctl('get a --rev=3')).toMatch(/required revision has been compacted/);
    expect(await ctl(`lease revoke ${lease}`)).toMatch(/requested lease not found/);
    expect(await ctl('endpoint health')).toBe('');
    expect(await ctl('endpoint status')).toContain(`${store.grpc}, `);
    expect(await ctl('member list')).toContain(`http://${store.grpc}`);
    expect(await ctl('user list')).toMatch(/code = Unimplemented/);
  });

  test('goes on watching at another replica when one ends', async () => {
    const first = await startStore();
    const { log } = first;
    await using second = await startStore(log);
    const endpoints = `${first.grpc},${second.grpc}`;
    const watching = spawn('etcdctl', ['--endpoints', endpoints, 'watch', '--prefix', 'w'], {
      env,
    });
    let output = '';
    let heard = (): void => {};
    watching.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      heard();
    });
    const has = (line: string): Promise<void> =>
      new Promise((resolve) => {
        heard = () => void (output.includes(`${line}\n`) && resolve());
        heard();
      });
    while (first.service.watchers + second.service.watchers === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await second.service.put('w1', Buffer.from('one'));
    await has('one');
    await first.end();
    await second.service.put('w2', Buffer.from('two'));
    await has('two');
    expect(output).toBe('PUT\nw1\none\nPUT\nw2\ntwo\n');
    const gone = new Promise((resolve) => watching.once('exit', resolve));
    watching.kill();
    await gone;
  });
});
