import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryPointProblems, nameProblems, wordProblems } from './tidy/shape.ts';
import { filesUnder, ROOT, Source } from './tidy/source.ts';

const CODE = ['.ts', '.mjs'];
const sources = ['framework', 'apps', 'examples', 'test'].flatMap((it) => filesUnder(it, CODE));
const published = [
  'log',
  'log/sql',
  'node',
  'raft',
  'smr',
  'smr/s3',
  'smr/sql',
  'testing',
  'testing/containers',
  'testing/contracts',
  'testing/sql',
];

describe('the house is tidy', () => {
  test('files are named after what they hold', () => {
    expect(sources.flatMap(nameProblems)).toEqual([]);
  });

  test('nothing is unfinished or left over', () => {
    const texts = ['framework', 'apps', 'docs', 'examples', 'infra'].flatMap((it) =>
      filesUnder(it, ['.md', '.proto', '.yaml', '.yml', '.json', '.sh', 'Dockerfile']),
    );
    expect([...sources, ...texts].flatMap(wordProblems)).toEqual([]);
  });

  test('each folder of framework has an entry point', () => {
    const folders = readdirSync(join(ROOT, 'framework'), { withFileTypes: true })
      .filter((it) => it.isDirectory())
      .map((it) => it.name)
      // The entry points of wire are its generated files.
      .filter((it) => it !== 'wire');
    const problems = folders.flatMap((folder) =>
      entryPointProblems(
        folder,
        sources.find((it) => it.path === `framework/${folder}/index.ts`),
        published.includes(folder),
      ),
    );
    expect(problems).toEqual([]);
  });

  test('the package exports the published folders and nothing else', () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, object>;
    };
    const paths = ['.', ...published.map((it) => `./${it}`)];
    expect(Object.keys(exports).sort()).toEqual(paths);
    for (const path of paths) {
      const folder = path.slice(1);
      expect(exports[path]).toEqual({
        '@varlog/source': `./framework${folder}/index.ts`,
        require: {
          types: `./dist/commonjs${folder}/index.d.ts`,
          'module-sync': `./dist/framework${folder}/index.js`,
          default: `./dist/commonjs${folder}/index.js`,
        },
        types: `./dist/framework${folder}/index.d.ts`,
        default: `./dist/framework${folder}/index.js`,
      });
      expect(existsSync(join(ROOT, `framework${folder}/index.ts`))).toBe(true);
    }
  });

  test('neither the lock file nor .npmrc knows where packages come from', () => {
    expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toMatch(
      /"resolved"\s*:\s*"https?:|\/\/registry\./,
    );
    expect(readFileSync(join(ROOT, '.npmrc'), 'utf8')).not.toMatch(/registry\s*=|\/\//);
  });

  test('generated code is up to date', () => {
    execFileSync(process.execPath, ['framework/wire/generate.mjs', '--check'], {
      cwd: ROOT,
      stdio: 'pipe',
    });
  });
});

describe('the rules find what they are made for', () => {
  const at = (path: string, text: string): Source => new Source(path, text);

  test('vague names, unfinished work and traces of a machine are found', () => {
    for (const name of ['utils.ts', 'types.ts', 'helpers.test.ts'])
      expect(nameProblems(at(`framework/log/${name}`, 'a;'))).toEqual([
        expect.stringContaining('nothing'),
      ]);
    const words = (text: string): string[] => wordProblems(at('framework/log/x.ts', text));
    expect(words(`\n// ${'TO' + 'DO'}: later`)).toEqual([
      expect.stringContaining('framework/log/x.ts:2'),
    ]);
    expect(words(`const a = '/${'work'}/main';`)).toHaveLength(1);
    expect(words('const network = 1; // the framework/log works')).toEqual([]);
  });

  test('a folder without an entry point, a doc comment or an example is found', () => {
    const index = (text: string): Source => at('framework/log/index.ts', text);
    expect(entryPointProblems('log', undefined, true)).toHaveLength(1);
    expect(entryPointProblems('log', index(`export * from './x.ts';`), true)).toHaveLength(1);
    expect(entryPointProblems('log', index('/** A log. */'), true)).toHaveLength(1);
    expect(entryPointProblems('log', index('/** A log. */'), false)).toEqual([]);
    expect(entryPointProblems('log', index('/**\n * ```ts\n * a();\n * ```\n */'), true)).toEqual(
      [],
    );
  });
});
