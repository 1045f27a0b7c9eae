import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Varlog } from 'varlog/log';
import { ROOT } from './local-processes.ts';
import { eventually, TestCluster } from './processes.ts';

const CLI = join(ROOT, 'dist/framework/node/cli.js');

describe('the varlog command in a pipe', () => {
  let cluster: TestCluster;
  let url: string;
  const varlog = (args: string[]): string[] => [process.execPath, CLI, ...args];
  const run = (args: string[], input: string | Uint8Array = ''): Buffer => {
    const [command, ...rest] = varlog(args);
    const env = { ...process.env, VARLOG_URL: url };
    return execFileSync(command!, rest, { input, env, stdio: 'pipe' });
  };
  /** Runs a line of shell, with the command as "$VARLOG". */
  const shell = (line: string): { out: string; code: number } => {
    const env = { ...process.env, VARLOG_URL: url, VARLOG: `${process.execPath} ${CLI}` };
    const out = execFileSync('bash', ['-c', `${line} 2>&1; echo "codes \${PIPESTATUS[*]}"`], {
      env,
      encoding: 'utf8',
      timeout: 30_000,
    });
    const [, text, code] = /^(.*)codes (\d+)/s.exec(out)!;
    return { out: text!, code: Number(code) };
  };

  beforeAll(async () => {
    cluster = await TestCluster.start(1);
    await using client = await cluster.connect();
    const topic = await client.createTopic();
    url = `varlog://${cluster.endpoints.join(',')}/${topic.id}`;
    await topic.append(Array.from({ length: 5_000 }, (_, i) => `record ${i} ${'x'.repeat(100)}`));
  }, 60_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  test('a reader that has seen enough ends it without a word', () => {
    expect(shell('$VARLOG read | head -n 1')).toEqual({
      out: expect.stringMatching(/^1\trecord 0 x+\n$/),
      code: 0,
    });
    expect(shell('$VARLOG tail --from start 2>/dev/null | head -n 2').code).toBe(0);
    expect(shell('$VARLOG status | head -n 0')).toEqual({ out: '', code: 0 });
  }, 60_000);

  test('lines are appended while the pipe stays open', async () => {
    const [command, ...rest] = varlog(['append']);
    const env = { ...process.env, VARLOG_URL: url };
    const child: ChildProcessWithoutNullStreams = spawn(command!, rest, { env });
    let out = '';
    child.stdout.on('data', (it) => {
      out += it;
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    for (let i = 1; i <= 3; i++) {
      child.stdin.write(`line ${i}\n`);
      await eventually(async () => expect(out.split('\n')).toHaveLength(i + 1));
    }
    child.stdin.end();
    expect(await ended).toBe(0);
  }, 60_000);

  test('a large input goes in batches that fit', () => {
    const lines = Array.from({ length: 12 }, (_, i) => `${i}`.repeat(500_000));
    const range = run(['append'], `${lines.join('\n')}\n`).toString();
    expect(range.trim().split('\n').at(-1)).toMatch(/\d+$/);
  }, 60_000);

  test('bytes come back as they went in', () => {
    const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => i * 7);
    const at = (appended: Buffer): string[] => [
      '--from',
      `${appended}`.trim(),
      '--to',
      `${appended}`.trim(),
    ];
    const one = at(run(['append', '--binary'], bytes));
    expect([...run(['read', '--binary', ...one])]).toEqual([...bytes]);
    const base64 = Buffer.from(bytes).toString('base64');
    expect(run(['read', '--base64', ...one]).toString()).toBe(`${one[1]}\t${base64}\n`);
    expect(JSON.parse(run(['read', '--base64', '--json', ...one]).toString()).base64).toBe(base64);
    const two = at(run(['append', '--base64'], `${base64}\n`));
    expect([...run(['read', '--binary', ...two])]).toEqual([...bytes]);
    const text = '\uFEFFa\rb\u2028c\r';
    const three = at(run(['append'], `${text}\n`));
    expect(run(['read', '--binary', ...three]).toString()).toBe(text);
    expect(run(['read', ...three]).toString()).toBe(`${three[1]}\t${text}\n`);
    expect(JSON.parse(run(['read', '--json', ...three]).toString()).text).toBe(text);
  }, 60_000);

  test('one address is understood by the command and by the library', async () => {
    const where = `${run(['append', url, 'from the command'])}`.trim();
    await using client = await Varlog.connect(url);
    const { glsn } = await client.topic().append('from the library');
    expect(glsn).toBe(Number(where) + 1);
    expect(run(['read', url, '--from', where]).toString()).toBe(
      `${where}\tfrom the command\n${glsn}\tfrom the library\n`,
    );
    expect(() => run(['append', 'varlog://127.0.0.1/nowhere', 'x'])).toThrow(/is not a topic/);
  }, 60_000);
});
