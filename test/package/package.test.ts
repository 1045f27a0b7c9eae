import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Consumer } from './consumer.ts';

/** With no more installed than the package asks for. */
const SUBPATHS = ['log', 'raft', 'smr', 'node', 'testing', 'testing/contracts'];
const OPTIONAL_SUBPATHS = ['log/sql', 'smr/s3', 'smr/sql', 'testing/containers', 'testing/sql'];

const PROGRAM = `
import { ErrorCode, handle, Varlog, VarlogError } from 'varlog/log';
import { raftFaces } from './raft';
import { startReplica, type StateMachine } from 'varlog/smr';
import { MemoryLog, World } from 'varlog/testing';
import { resolveConfig } from 'varlog/node';
import { map } from 'rxjs';

class Counter implements StateMachine<{ add: number }, number, number> {
  value = 0;
  apply({ add }: { add: number }): number { return (this.value += add); }
  snapshot(): number { return this.value; }
  restore(value: number): void { this.value = value; }
}

export async function run(): Promise<number> {
  await using varlog = await Varlog.connect('varlog://127.0.0.1/1');
  varlog.topic().tail$().pipe(map((it) => it.glsn), handle(async (it: number) => it)).subscribe();
  const counter = await startReplica({ machine: new Counter(), log: new MemoryLog() });
  void [World, resolveConfig, raftFaces];
  return counter.execute({ add: 1 });
}

export function codeOf(error: unknown): ErrorCode | undefined {
  if (VarlogError.is(error, 'TRIMMED')) {
    const trimmed: 'TRIMMED' = error.code;
    return trimmed;
  }
  return VarlogError.is(error) ? error.code : undefined;
}
`;

const UNIT_TEST = `
import { firstValueFrom } from 'rxjs';
import { Varlog, VarlogError } from 'varlog/log';
import { startReplica } from 'varlog/smr';
import { startLocalCluster } from 'varlog/node';
import { freeAddresses, MemoryLog } from 'varlog/testing';
import { orderedLogContract } from 'varlog/testing/contracts';
import * as raft from 'varlog/raft';

class Counter {
  value = 0;
  apply({ add }: { add: number }): number { return (this.value += add); }
  snapshot(): number { return this.value; }
  restore(value: number): void { this.value = value; }
}

test('a replicated counter, with the timers of a test', async () => {
  jest.useFakeTimers();
  const log = new MemoryLog();
  const counter = await startReplica({ machine: new Counter(), log });
  log.failNext('unknownApplied');
  expect(await counter.execute({ add: 2 })).toBe(2);
  expect(await counter.query((it) => it.value)).toBe(2);
  await counter.close();
  jest.useRealTimers();
  expect(Object.keys(raft).length).toBeGreaterThan(0);
});

const makeLog = async () => ({ log: new MemoryLog(), close: async () => {} });
for (const { title, run } of orderedLogContract(makeLog)) test(title, run);

test('a cluster in this process, and two beside it', async () => {
  for (const nodes of [1, 3]) {
    const ports = (await freeAddresses(1)).map((it) => Number(it.split(':')[1]));
    const directory = process.env.DATA + '/' + nodes;
    const cluster = await startLocalCluster({
      nodes, port: ports[0]!, httpPort: ports[0]! + 10, directory, logStreams: 1, progress: () => {},
    });
    const varlog = await Varlog.connect({ endpoints: cluster.endpoints });
    await varlog.topic(1).append('hello');
    expect((await firstValueFrom(varlog.topic(1).tail$({ from: 'start' }))).text()).toBe('hello');
    const error = await varlog.topic(99).append('x').catch((it: unknown) => it);
    expect(VarlogError.is(error, 'TOPIC_NOT_FOUND')).toBe(true);
    await varlog.close();
    await cluster.close();
  }
}, 60_000);
`;

const CONTRACTS = `
  import { describe, test } from 'node:test';
  import { MemoryLog } from 'varlog/testing';
  import { orderedLogContract } from 'varlog/testing/contracts';

  class Forgetful extends MemoryLog {
    async tail(options) { return 0 * (await super.tail(options)); }
  }
  for (const Log of [MemoryLog, Forgetful]) {
    describe(Log.name, () => {
      const make = async () => ({ log: new Log(), close: async () => {} });
      for (const { title, run } of orderedLogContract(make)) test(title, run);
    });
  }
`;

describe('the package as it is published', () => {
  let consumer: Consumer;

  beforeAll(() => {
    consumer = new Consumer(['@aws-sdk', 'typeorm', 'better-sqlite3', 'pg', 'testcontainers']);
  }, 60_000);
  afterAll(() => consumer.remove());

  test.each(SUBPATHS)('varlog/%s can be imported and required, and is the same then', (subpath) => {
    const text = `
      import { createRequire } from 'node:module';
      const it = await import('varlog/${subpath}');
      console.log(Object.keys(it).length > 0, createRequire(import.meta.url)('varlog/${subpath}') === it);
      process.exit();`;
    expect(consumer.runText('a.mjs', text)).toBe('true true\n');
    const required = `console.log(Object.keys(require('varlog/${subpath}')).length > 0); process.exit();`;
    expect(consumer.runText('a.cjs', required)).toBe('true\n');
  });

  test('its contracts run under another test runner than jest, and find what is wrong', () => {
    consumer.write('log.test.mjs', CONTRACTS);
    const failed = (): string => consumer.run(['--test', '--test-reporter', 'tap', 'log.test.mjs']);
    expect(failed).toThrow(/not ok \d+ - the tail covers what was acknowledged[\s\S]*# fail 1\n/);
  }, 60_000);

  test('everything else is closed; the package alone says what to import', () => {
    const failed = (text: string): string =>
      consumer.runText('b.mjs', `await import('${text}').catch((it) => console.log(it.message));`);
    expect(failed('varlog/dist/framework/base/index.js')).toContain('not defined by "exports"');
    expect(failed('varlog')).toContain("import 'varlog/log'");
    const required = `try { require('varlog') } catch (it) { console.log(it.message) }`;
    expect(consumer.runText('b.cjs', required)).toContain("import 'varlog/log'");
  });

  test.each([
    ['an ES module', 'module', 'nodenext'],
    ['CommonJS', 'commonjs', 'nodenext'],
    ['CommonJS before ES modules could be required', 'commonjs', 'node18'],
    ['a bundler', 'module', 'preserve'],
  ])(
    'its types are whole and strict, in %s',
    (_, type, module) => {
      consumer.write(`${type}/package.json`, JSON.stringify({ type }));
      consumer.write(
        `${type}/raft.ts`,
        `import * as raftFaces from 'varlog/raft';\nexport { raftFaces };\n`,
      );
      const ending = module === 'preserve' ? '' : '.js';
      consumer.write(`${type}/program.ts`, PROGRAM.replace("'./raft'", `'./raft${ending}'`));
      const options = { strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', module };
      const compilerOptions = { ...options, exactOptionalPropertyTypes: true, types: ['node'] };
      consumer.write(`${type}/tsconfig.json`, JSON.stringify({ compilerOptions }));
      const tsc = join(consumer.folder, 'node_modules/@typescript/native/bin/tsc');
      expect(consumer.run([tsc, '-p', type])).toBe('');
    },
    60_000,
  );

  test('what is packed was built from a source that is packed too', () => {
    const files = readdirSync(consumer.installed, { recursive: true, encoding: 'utf8' });
    const built = files.filter((it) => /^dist\/framework\/.*(\.d\.ts|\.js)$/.test(it));
    expect(built.length).toBeGreaterThan(100);
    const stale = built.filter((it) => {
      const source = it.replace(/^dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts');
      return !files.includes(source);
    });
    expect(stale).toEqual([]);
  });

  test('what a map leads to is there, and no test is', () => {
    const files = readdirSync(consumer.installed, { recursive: true, encoding: 'utf8' });
    expect(files.filter((it) => /\.(test|fixture)\./.test(it))).toEqual([]);
    const maps = files.filter((it) => it.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(100);
    const missing = maps.flatMap((map) => {
      const { sources } = JSON.parse(readFileSync(join(consumer.installed, map), 'utf8'));
      return (sources as string[])
        .map((it) => join(consumer.installed, dirname(map), it))
        .filter((it) => !existsSync(it));
    });
    expect(missing).toEqual([]);
    const unmapped = files.filter((file) => {
      if (!/\.(js|d\.ts)$/.test(file)) return false;
      const text = readFileSync(join(consumer.installed, file), 'utf8');
      return text.includes('\n//# sourceMappingURL=') && !files.includes(`${file}.map`);
    });
    expect(unmapped).toEqual([]);
  });
});

describe('the package where what is optional is installed too', () => {
  let consumer: Consumer;

  beforeAll(() => {
    consumer = new Consumer([]);
  }, 60_000);
  afterAll(() => consumer.remove());

  test.each(OPTIONAL_SUBPATHS)('varlog/%s can be imported and required', (subpath) => {
    const list = 'console.log(Object.keys(it).length > 0); process.exit();';
    expect(consumer.runText('a.mjs', `import * as it from 'varlog/${subpath}'; ${list}`)).toBe(
      'true\n',
    );
    expect(consumer.runText('a.cjs', `const it = require('varlog/${subpath}'); ${list}`)).toBe(
      'true\n',
    );
  });

  test('tests under jest can use it', () => {
    const swc = `['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } }]`;
    const config = `module.exports = { testMatch: ['**/*.test.ts'], transform: { '\\\\.ts$': ${swc} } };`;
    consumer.write('jest.config.js', config);
    consumer.write('counter.test.ts', UNIT_TEST);
    process.env['DATA'] = join(consumer.folder, 'data');
    consumer.run(['node_modules/jest/bin/jest.js', '--ci']);
  }, 120_000);
});
