import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Varlog } from '../log/index.ts';
import { type Finished, varlog } from './in-process-cli.fixture.ts';
import { closeAll, eventually, Observed } from './observed.fixture.ts';

let node: Observed;
let client: Varlog;
let folder: string;

beforeAll(async () => {
  node = await Observed.start();
  client = await node.connect();
  folder = mkdtempSync(join(tmpdir(), 'varlog-cli-'));
  writeFileSync(join(folder, 'a-file'), '');
}, 60_000);
afterAll(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

/** Runs the command against the node. */
const run = (args: string[], input?: string | Uint8Array): Promise<Finished> =>
  varlog([...args, '--endpoints', node.address], input === undefined ? {} : { input });

const ok = (out: string): Finished => ({ code: 0, out, err: '' });

async function newTopic(): Promise<string> {
  return String((await client.createTopic()).id);
}

describe('records', () => {
  test('in the ways to write them: texts, lines, base64, bytes', async () => {
    const topic = await newTopic();
    const bytes = Uint8Array.of(0xff, 0x0a, 0x00, 0x61);
    const base64 = Buffer.from(bytes).toString('base64');
    expect(await run(['append', topic, 'a', 'b'])).toEqual(ok('1..2\n'));
    expect(await run(['append', topic], 'c\n\nd')).toEqual(ok('3..4\n5\n'));
    expect(await run(['append', topic, '--binary'], bytes)).toEqual(ok('6\n'));
    expect(await run(['append', topic, '--base64', base64])).toEqual(ok('7\n'));
    expect(await run(['append', topic, '--base64'], `${base64}\n`)).toEqual(ok('8\n'));
    expect(await run(['append', topic], '')).toEqual(ok(''));

    expect(await run(['read', topic, '--to', '5'])).toEqual(ok('1\ta\n2\tb\n3\tc\n4\t\n5\td\n'));
    expect(await run(['read', topic, '--from', '8', '--base64'])).toEqual(ok(`8\t${base64}\n`));
    const raw = await run(['read', topic, '--from', '6', '--to', '7', '--binary']);
    expect(Buffer.from(raw.out, 'latin1')).toEqual(Buffer.concat([bytes, bytes]));
    const json = await run(['read', topic, '--from', '7', '--to', '7', '--base64', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ glsn: 7, llsn: 7, base64 });
  });
});

describe('appends that expect something', () => {
  test('are made where it holds, and end with 5 where it does not', async () => {
    const topic = await newTopic();
    const append = (...args: string[]) => run(['append', topic, ...args]);
    expect(await append('a', '--expect-tail', '0')).toEqual(ok('1\n'));
    expect(await append('b', '--expect-tail', '0')).toMatchObject({
      ...{ code: 5, out: '', err: expect.stringMatching(/CONDITION_FAILED.* LLSN 1, not 0/) },
    });
    expect(await append('b', '--key', 'k', '--expect-version', '0')).toEqual(ok('2\n'));
    expect(await append('c', '--key', 'k', '--expect-version', '0')).toMatchObject({ code: 5 });
    expect(await append('c', '--key', 'k', '--expect-version', '2')).toEqual(ok('3\n'));
    expect(await append('d', '--producer', '7', '--expect-tail', '3')).toEqual(ok('4\n'));
  });

  test('of a fencing token are refused once somebody has taken over', async () => {
    const topic = await newTopic();
    let fenced = { token: 0 };
    await eventually(async () => {
      fenced = JSON.parse((await run(['fence', topic, '--json'])).out);
    });
    const append = (token: number) => run(['append', topic, 'a', '--expect-fence', `${token}`]);
    expect(await append(fenced.token)).toEqual(ok('1\n'));
    expect((await run(['fence', topic, '90'])).out).toMatch(/is fenced by token 90/);
    expect(await append(fenced.token)).toMatchObject({ code: 5 });
    expect(await append(90)).toEqual(ok('2\n'));
    expect(await run(['fence', topic, '89'])).toMatchObject({ code: 5 });
    expect((await run(['topic', 'describe', topic])).out).toMatch(/fenced by token 90/);
  });
});

test('texts to several log streams at once', async () => {
  const topic = await client.createTopic({ logStreams: 2 });
  const id = String(topic.id);
  const [one, two] = (await topic.describe()).logStreams.map((it) => it.id);
  const append = ['append', id, '--atomic', '--key', 'k'];
  expect(await run([...append, `${one}=a`, `${two}=b=c`, `${one}=`])).toEqual(
    ok(`${one}\t1..2\n${two}\t3\n`),
  );
  const base64 = Buffer.from('d').toString('base64');
  const json = await run([...append, `${one}=${base64}`, `${two}=`, '--base64', '--json']);
  const acks = json.out
    .trim()
    .split('\n')
    .map((it) => JSON.parse(it));
  expect(acks).toMatchObject([
    { logStream: one, glsn: 4 },
    { logStream: two, glsn: 5 },
  ]);
  expect((await run(['read', id, '--to', '4'])).out).toBe('1\ta\n2\t\n3\tb=c\n4\td\n');
});

describe('how fresh, and how long it took', () => {
  test('from any replica that has come so far, or as much as one knows', async () => {
    const topic = await newTopic();
    await run(['append', topic, 'a', 'b', 'c']);
    const all = ok('1\ta\n2\tb\n3\tc\n');
    expect(await run(['read', topic, '--at-least', '3'])).toEqual(all);
    expect(await run(['read', topic, '--to', '3', '--stale'])).toEqual(all);
    const late = await run(['read', topic, '--at-least', '4', '--wait', '50ms']);
    expect([late.code, late.out]).toEqual([124, '']);
    expect(late.err).toMatch(/TIMEOUT.*position 4/);
  });

  test('where the time of an append went', async () => {
    const topic = await newTopic();
    for (const more of [[], ['--producer', '3']]) {
      const { code, out } = await run(['append', topic, 'x', '--receipt', ...more]);
      expect(code).toBe(0);
      const [position, ...lines] = out.trimEnd().split('\n');
      expect(Number(position)).toBeGreaterThan(0);
      expect(lines.join('\n')).toMatch(/ ms {2}disk of the primary\n/);
      expect(lines.at(-1)).toMatch(/^ +\d+\.\d{3} ms {2}in all$/);
      const json = await run(['append', topic, 'x', '--receipt', '--json', ...more]);
      const { total, ...parts } = JSON.parse(json.out).receipt;
      const sum = Object.values<number>(parts).reduce((so, ms) => so + ms, 0);
      expect(sum).toBeCloseTo(total, 6);
    }
    const expecting = ['append', topic, 'x', '--receipt', '--expect-tail'];
    expect((await run([...expecting, '4'])).out).toMatch(/^5\n[\s\S]* ms {2}in all\n$/);
    const produced = await run([...expecting, '5', '--producer', '3']);
    expect(produced.out).toMatch(/^6\n[\s\S]* ms {2}in all\n$/);
    expect(await run([...expecting, '5'])).toMatchObject({ code: 5, out: '' });
  });
});

describe('what was called wrongly is refused, with a code, a sentence and what to do', () => {
  const usage: [string, string[], RegExp][] = [
    ['no command of that name', ['fly'], /unknown command 'fly'/],
    ['no argument', ['export', '1'], /missing required argument 'file'/],
    ['a topic that is no number', ['read', 'x'], /whole number, 1 or more/],
    ['topic 0', ['read', '0'], /whole number, 1 or more/],
    ['a fraction', ['read', '1', '--to', '1.5'], /whole number, 0 or more/],
    ['a position to tail from', ['tail', '1', '--from', '0'], /start, end or a GLSN/],
    ['a position to see', ['read', '1', '--at-least', '0'], /whole number, 1 or more/],
    ['a time to wait', ['read', '1', '--wait', 'long'], /such as 7d, 12h/],
    ['a node that is no number', ['node', 'replace', 'one'], /whole number, 1 or more/],
    ['a fencing token', ['fence', '1', '0'], /whole number, 1 or more/],
    ['a size', ['topic', 'create', '--retain-bytes', 'much'], /such as 10GB/],
    ['a port', ['up', '--port', '0'], /whole number, 1 or more/],
    ['a member without its group', ['raft-restore', '--member', '1'], /'--group <id>' not spec/],
  ];
  test.each(usage)('usage: %s', async (_, args, message) => {
    const { code, out, err } = await run(args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(message);
    // What was wrong stays in sight: the help is for whoever asks for it.
    expect(err).toMatch(/^Usage: varlog.*\nsee "varlog.* --help"\n$/m);
    expect(err.trim().split('\n').length).toBeLessThan(5);
    const json = await run([...args, '--json']);
    expect([json.code, json.out]).toEqual([2, '']);
    const { error } = JSON.parse(json.err);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  const refused: [string, string[], number, RegExp][] = [
    [
      'an expected tail of many appends',
      ['append', '1', '--expect-tail', '1'],
      2,
      /INVALID_ARG.*makes several.*as texts/,
    ],
    [
      'an expected version without a key',
      ['append', '1', 'x', '--expect-version', '1'],
      2,
      /INVALID_ARG.*about a key.*--key/,
    ],
    [
      'bytes as a text',
      ['append', '1', 'x', '--binary'],
      2,
      /INVALID_ARG.*standard input.*--base64/,
    ],
    ['two formats', ['append', '1', '--binary', '--base64'], 2, /INVALID_ARG.*exclude each other/],
    ['bytes within JSON', ['read', '1', '--binary', '--json'], 2, /INVALID_ARG.*use --base64/],
    ['what is not base64', ['append', '1', '--base64', '!'], 2, /INVALID_ARG.*"!" is not base64/],
    ['no log stream', ['append', '1', 'x', '--atomic'], 2, /INVALID_ARG.*"x".*LOG_STREAM=TEXT/],
    [
      'an atomic append of a producer',
      ['append', '1', '1=x', '--atomic', '--producer', '7'],
      2,
      /INVALID_ARG.*--atomic excludes/,
    ],
    [
      'an atomic append with a receipt',
      ['append', '1', '1=x', '--atomic', '--receipt'],
      2,
      /INVALID_ARG.*--atomic excludes.*--receipt/,
    ],
    ['an atomic append of nothing', ['append', '1', '--atomic'], 2, /EMPTY_BATCH/],
    ['no topic', ['read'], 2, /INVALID_ARG.*no topic was named.*varlog:/],
    [
      'an address without a topic',
      ['read', 'varlog://h:1/x'],
      2,
      /INVALID_ARG.*"x".*is not a topic/,
    ],
    ['a record before the first', ['read', '1', '--from', '0'], 2, /POSITION_OUT_OF_RANGE/],
    ['no such topic', ['append', '99', 'x'], 4, /TOPIC_NOT_FOUND: there is no topic 99/],
    ['no such log stream', ['append', '1', 'x', '--log-stream', '9'], 4, /LOG_STREAM_NOT_FOUND/],
    ['no such topic to delete', ['topic', 'delete', '99'], 4, /TOPIC_NOT_FOUND/],
    ['no such topic to restore', ['topic', 'restore', '99'], 4, /TOPIC_NOT_FOUND/],
    ['no such holder', ['topic', 'release', '1', 'nobody'], 4, /NOT_FOUND.*"nobody"/],
    ['no such storage node', ['node', 'replace', '9'], 4, /NOT_FOUND: there is no storage node 9/],
    ['a storage node that is up', ['node', 'replace', '1'], 5, /FAILED_PRECONDITION.*is up/],
    ['more than there is', ['trim', '1', '99'], 5, /BEYOND_TAIL/],
    ['a trim up to nowhere', ['trim', '1'], 2, /INVALID_ARG.*last record to remove is missing/],
    ['an update of nothing', ['topic', 'update', '1'], 2, /INVALID_ARG.*--retain-bytes/],
    ['an import of nothing', ['import', 'no-such-file'], 2, /INVALID_ARG.*there is no file/],
    ['to skip what is no command', ['skip', '1', '99'], 4, /nothing of a state machine "machine"/],
    ['TLS without whom to trust', ['status', '--tls-key', 'k'], 2, /CONFIG_INVALID.*--tls-ca/],
    [
      'TLS files that are not there',
      ['status', '--tls-ca', '/no/ca'],
      2,
      /CONFIG_INVALID.*\/no\/ca/,
    ],
    [
      'a token file that is not there',
      ['status', '--token-file', '/no/tokens'],
      2,
      /CONFIG_INVALID.*\/no\/tokens/,
    ],
  ];
  beforeAll(() => newTopic());
  test.each(refused)('%s', async (_, args, code, message) => {
    const found = await run(args);
    expect([found.code, found.out]).toEqual([code, '']);
    expect(found.err).toMatch(message);
    // One line for people is one JSON value for programs.
    expect(found.err.trimEnd()).not.toContain('\n');
  });

  test('programs get code, message and whether to try again', async () => {
    const { err } = await run(['topic', 'delete', '99', '--json']);
    expect(JSON.parse(err)).toEqual({
      error: {
        code: 'TOPIC_NOT_FOUND',
        message: expect.stringContaining('no topic 99'),
        retryable: false,
        details: {},
      },
    });
  });

  test('each option stands in the help once', async () => {
    const { code, out } = await varlog(['append', '--help']);
    expect(code).toBe(0);
    expect(out.match(/--endpoints/g)).toHaveLength(1);
  });
});

describe('topics', () => {
  test('are made, listed, held, trimmed, deleted and brought back', async () => {
    const made = await run(['topic', 'create', '--log-streams', '2', '--json']);
    const { id } = JSON.parse(made.out) as { id: number };
    expect((await run(['topic', 'ls'])).out).toMatch(new RegExp(`^${id} +\\d+, \\d+$`, 'm'));
    await run(['append', `${id}`, 'a', 'b', 'c']);
    await client.topic(id).hold('the reports', 1);
    const held = await run(['topic', 'describe', `varlog://${node.address}/${id}`]);
    expect(held.out).toMatch(/records 1 to 3[\s\S]*open[\s\S]*the reports +1/);
    const refused = await run(['trim', `${id}`, '2']);
    expect([refused.code, refused.err]).toEqual([5, expect.stringContaining('the reports')]);
    expect(await run(['topic', 'release', `${id}`, 'the reports'])).toMatchObject({ code: 0 });
    expect(await run(['trim', `${id}`, '2'])).toEqual(ok('removed everything up to 2\n'));
    expect(await run(['read', `${id}`, '--from', '1'])).toMatchObject({
      code: 5,
      err: expect.stringContaining('TRIMMED'),
    });
    expect(await run(['read', `${id}`])).toEqual(ok('3\tc\n'));
    expect(await run(['topic', 'delete', `${id}`])).toEqual(ok(`deleted topic ${id}\n`));
    expect(await run(['read', `${id}`])).toMatchObject({ code: 4 });
    expect(await run(['topic', 'restore', `${id}`])).toEqual(ok(`topic ${id} is back\n`));
    await eventually(async () => {
      expect(await run(['read', `${id}`, '--from', '3'])).toEqual(ok('3\tc\n'));
    });
  });
});

test('tail prints what comes, until Ctrl-C', async () => {
  const topic = await newTopic();
  await run(['append', topic, 'old']);
  const found = await varlog(['tail', topic, '--from', 'start', '--endpoints', node.address], {
    wrote: (text) => {
      if (text.includes('2\tnew')) process.emit('SIGINT');
      else if (text.includes('1\told')) void client.topic(Number(topic)).append('new');
    },
  });
  expect([found.code, found.out]).toEqual([0, '1\told\n2\tnew\n']);
  expect(found.err).toMatch(/^\[\w+\]$/m);
});

describe('health', () => {
  test('of a cluster that is well', async () => {
    const status = await run(['status']);
    expect(status.out).toMatch(/leader: member 1[\s\S]*STORAGE NODE[\s\S]*TOPIC/);
    expect((await run(['node', 'ls'])).out).toMatch(/^1 +\S+ +up +\d+ +\d+ +\S+ [KM]?B$/m);
    expect(await run(['repair'])).toEqual(ok('every log stream has all of its copies\n'));
    const doctor = await run(['doctor', '--directory', folder]);
    expect(doctor.out).toMatch(/^ok {3}Node.js/m);
    expect(doctor.out).toMatch(/every log stream is whole/);
    expect(existsSync(join(folder, 'varlog-doctor.tmp'))).toBe(false);
  });

  test('the doctor makes no folder that it is to look at', async () => {
    const missing = join(folder, 'mistyped');
    const doctor = await run(['doctor', '--directory', missing]);
    expect(doctor).toMatchObject({ code: 1, out: expect.stringMatching(/^BAD .*mistyped/m) });
    expect(existsSync(missing)).toBe(false);
  });

  test('the doctor says each thing that is wrong, and no cluster is one of them', async () => {
    const args = ['doctor', '--endpoints', '127.0.0.1:1', '-d', join(folder, 'a-file'), '--json'];
    const { code, out } = await varlog(args);
    const findings = out
      .trimEnd()
      .split('\n')
      .map((it) => JSON.parse(it));
    expect([code, findings]).toEqual([
      1,
      [
        { ok: true, what: expect.stringContaining('Node.js') },
        { ok: false, what: expect.stringContaining('DIRECTORY_UNWRITABLE') },
        { ok: false, what: expect.stringContaining('UNREACHABLE') },
      ],
    ]);
  }, 30_000);

  // The last one: its node is not well afterwards.
  test('a log stream that cannot repair itself: who it is, and exit code 1', async () => {
    const topic = await newTopic();
    await run(['append', topic, 'x']);
    node.fails('/records/', 'EIO');
    try {
      await client
        .topic(Number(topic))
        .append('y', { timeoutMs: 300 })
        .catch(() => {});
      await eventually(async () => {
        const repair = await run(['repair', '--seconds', '1']);
        expect(repair.code).toBe(1);
        expect(repair.out).toMatch(/^not repaired:\nlog stream \d+ on storage node 1: failed.*EIO/);
        // Said at once too, for a person who waits.
        expect(repair.err).toMatch(/log stream \d+ on storage node 1: failed/);
      });
      const status = await run(['status']);
      expect(status.out).toMatch(/1 \(failed.*\)[\s\S]*What is wrong:\n.*EIO/);
      expect(await run(['doctor', '--directory', folder])).toMatchObject({
        code: 1,
        out: expect.stringMatching(/^BAD {2}log stream \d+ on storage node 1: failed/m),
      });
    } finally {
      node.disk.faults = {};
    }
  }, 30_000);
});
