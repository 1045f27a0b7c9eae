import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Varlog } from '../../log/index.ts';
import { Authority } from '../../runtime/certificates.fixture.ts';
import { freeAddresses } from '../../testing/index.ts';
import { type Finished, varlog } from '../in-process-cli.fixture.ts';
import { startLocalCluster } from '../local-cluster.ts';

let root: string;
let address: string;
let ports: string[];
let http: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'varlog-up-'));
  const [grpc = '', other = ''] = await freeAddresses(2);
  address = grpc;
  http = other;
  const portOf = (it: string): string => it.split(':')[1]!;
  ports = ['--port', portOf(grpc), '--http-port', portOf(other)];
});
afterEach(() => rmSync(root, { recursive: true }));

/** `varlog up` in `root`, ended by Ctrl-C once `use` has seen it ready. */
async function up(
  use: () => Promise<void> = async () => {},
  more: readonly string[] = [],
): Promise<Finished> {
  let used: Promise<void> | undefined;
  const found = await varlog(['up', ...ports, '-d', root, '--json', ...more], {
    wrote: (text) => {
      if (text.includes('"endpoints"')) used ??= use().finally(() => process.emit('SIGINT'));
    },
  });
  await used;
  return found;
}

/** Runs something beside the cluster of `root`, which no command runs. */
async function whileStarted(use: () => Promise<void>): Promise<void> {
  const [port, httpPort] = [address, http].map((it) => Number(it.split(':')[1])) as [
    number,
    number,
  ];
  const options = { nodes: 1, port, httpPort, directory: root, logStreams: 1 };
  const cluster = await startLocalCluster({ ...options, progress: () => {} });
  try {
    await use();
  } finally {
    await cluster.close();
  }
}

describe('up', () => {
  test('a cluster of one until Ctrl-C, and its data the next time', async () => {
    const first = await up(async () => {
      await using client = await Varlog.connect(address);
      await client.topic(1).append('kept');
      expect(await (await fetch(`http://${http}/readyz`)).text()).toBe('ready\n');
    });
    expect(first.code).toBe(0);
    expect(JSON.parse(first.out)).toMatchObject({ endpoints: [address], http: [http] });
    const read: string[] = [];
    await up(async () => {
      await using client = await Varlog.connect(address);
      for await (const entry of client.topic(1).read({ from: 1 })) read.push(entry.text());
    });
    expect(read).toEqual(['kept']);
  }, 60_000);

  test('a cluster of one that asks for access tokens', async () => {
    const file = join(root, 'tokens');
    const token = 'a-token-0123456789';
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    const { code } = await up(async () => {
      await using client = await Varlog.connect({ endpoints: address, token });
      await client.topic(1).append('let in');
      const refused = Varlog.connect(address);
      await expect(refused).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    }, ['--token-file', file]);
    expect(code).toBe(0);
  }, 60_000);

  test('a cluster of one that speaks TLS', async () => {
    const authority = new Authority('ours');
    const own = { ca: authority.ca, ...authority.issue('IP:127.0.0.1') };
    authority.remove();
    const flags = Object.entries(own).flatMap(([part, pem]) => {
      writeFileSync(join(root, part), pem);
      return [`--tls-${part}`, join(root, part)];
    });
    const { code } = await up(async () => {
      await using client = await Varlog.connect({ endpoints: address, tls: own });
      await client.topic(1).append('let in');
      await expect(Varlog.connect(address)).rejects.toThrow();
    }, flags);
    expect(code).toBe(0);
  }, 60_000);

  test('Ctrl-C before it is ready ends it too, and nothing is left that listens', async () => {
    const args = ['up', ...ports, '-d', root];
    const wrote = (text: string): void => {
      if (text.includes('waiting for the node')) process.emit('SIGINT');
    };
    const { code, out } = await varlog(args, { wrote });
    expect([code, out]).toEqual([0, '']);
    await expect(fetch(`http://${http}/livez`)).rejects.toThrow();
  }, 60_000);

  test('for a person: where it is and what to type next', async () => {
    const { out, err } = await varlog(['up', ...ports, '-d', root], {
      wrote: (text) => text.includes('Ctrl-C') && process.emit('SIGINT'),
    });
    expect(out).toContain(`npx varlog append 1 "hello" --endpoints ${address}`);
    expect(err).toMatch(/made topic 1 with 2 log streams[\s\S]*stopping/);
  }, 60_000);

  test('is refused where somebody listens: nothing is written', async () => {
    await whileStarted(async () => {
      const second = await varlog(['up', ...ports, '-d', join(root, 'second')]);
      expect([second.code, second.err]).toEqual([
        1,
        expect.stringMatching(/ADDRESS_IN_USE.*--port/),
      ]);
      expect(readdirSync(root)).not.toContain('second');
    });
  }, 60_000);

  const cases: [string, string, number, RegExp][] = [
    [
      'a cluster of another size',
      '{"nodes":3}',
      2,
      /CONFIG_INVALID: .* of 3, not of 1; use --nodes 3/,
    ],
    ['half a file', '{"nodes"', 6, /CORRUPT: .*cluster\.json .* how many nodes.*; write/],
    ['a file of something else', '{}', 6, /CORRUPT: .*cluster\.json/],
    ['an impossible size', '{"nodes":0}', 6, /CORRUPT: .*cluster\.json/],
  ];
  test.each(cases)('is refused in the folder of %s, which stays as it is', async (...found) => {
    const [, content, code, message] = found;
    const file = join(root, 'cluster.json');
    writeFileSync(file, content);
    const refused = await varlog(['up', ...ports, '-d', root]);
    expect([refused.code, refused.err]).toEqual([code, expect.stringMatching(message)]);
    expect(readFileSync(file, 'utf8')).toBe(content);
    expect(readdirSync(root)).toEqual(['cluster.json']);
  });

  test('is refused where it cannot write', async () => {
    const file = join(root, 'a-file');
    writeFileSync(file, '');
    const { code, err } = await varlog(['up', ...ports, '-d', file]);
    expect([code, err]).toEqual([1, expect.stringMatching(/DIRECTORY_UNWRITABLE.*--directory/)]);
  });
});

describe('server', () => {
  const end = async (
    ...args: string[]
  ): Promise<{ exit: number; code: string; message: string }> => {
    const { code: exit, err } = await varlog(['server', ...args]);
    // Whoever runs beside it in this process may have written lines of its own.
    const line = err.split('\n').find((it) => it.includes('"cannot start"')) ?? '{}';
    const { code, message } = JSON.parse(line) as Record<string, string>;
    return { exit, code: code!, message: message! };
  };

  test('runs until SIGTERM, with a file of options', async () => {
    const file = join(root, 'node.yaml');
    const lines = [`listen: ${address}`, `http: ${http}`, `directory: ${root}/data`];
    writeFileSync(file, [...lines, 'logLevel: info', ''].join('\n'));
    const { code, err } = await varlog(['server', '--config', file], {
      wrote: (text) => text.includes('node started') && process.emit('SIGTERM'),
    });
    expect([code, err]).toEqual([0, expect.stringContaining(address)]);
  });

  test('says in its log why it cannot start', async () => {
    const file = join(root, 'bad.yaml');
    writeFileSync(file, 'roles: [metadata\n');
    const config = { exit: 2, code: 'CONFIG_INVALID' };
    expect(await end('--config', file)).toMatchObject(config);
    const missing = await end('--config', join(root, 'none.yaml'));
    expect(missing).toMatchObject({ ...config, message: expect.stringContaining('none.yaml') });
    const role = await end('--roles', 'king');
    expect(role).toMatchObject({ ...config, message: expect.stringMatching(/"king".*--roles/) });
    const ca = ['--tls-ca', join(root, 'ca.pem')];
    expect(await end(...ca)).toMatchObject({ message: expect.stringContaining('ca.pem') });
  });

  test('does not start beside another one on its address or in its folder', async () => {
    await whileStarted(async () => {
      const [elsewhere = ''] = await freeAddresses(1);
      const folder = ['--directory', join(root, 'node-1')];
      const taken = await end('--listen', elsewhere, '--http', http, ...folder);
      expect(taken.code).toBe('DIRECTORY_IN_USE');
      const other = ['--directory', join(root, 'other')];
      expect(await end('--listen', address, ...other)).toMatchObject({ code: 'ADDRESS_IN_USE' });
      const health = await end('--listen', elsewhere, '--http', http, ...other);
      expect(health.code).toBe('ADDRESS_IN_USE');
      // What was started before that came to light has been ended: the folder is free again.
      expect((await end('--listen', address, ...other)).code).toBe('ADDRESS_IN_USE');
    });
  }, 60_000);
});

describe('raft-restore', () => {
  const restore = (...more: string[]): Promise<Finished> => {
    const member = ['--group', 'metadata-1', '--member', '1', '--address', address];
    return varlog(['raft-restore', ...member, ...more]);
  };

  test('tells what would be kept, and does it when that is accepted', async () => {
    let running: Finished | undefined;
    const directory = join(root, 'node-1', 'metadata-1');
    await whileStarted(async () => {
      running = await restore('--directory', directory);
    });
    expect(running).toMatchObject({ code: 5, err: expect.stringContaining('DIRECTORY_IN_USE') });
    const told = await restore('--directory', directory);
    expect(told.err).toBe('');
    expect([told.code, told.out]).toEqual([0, expect.stringContaining('nothing was changed')]);
    const done = await restore('--directory', directory, '--accept-loss');
    expect([done.code, done.out]).toEqual([0, expect.stringContaining('a group of its own now')]);
  }, 60_000);

  test('names the folder that holds no such member', async () => {
    const empty = join(root, 'empty');
    mkdirSync(empty);
    const { code, err } = await restore('--directory', empty);
    expect([code, err]).toEqual([5, expect.stringMatching(/FAILED_PRECONDITION.*member 1 .*/)]);
    expect(err).toContain(empty);
    expect(readdirSync(empty)).toEqual([]);
  });
});
