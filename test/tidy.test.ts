import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bannedCalls } from './tidy/banned-calls.ts';
import { deadFiles, importProblems, importsOf } from './tidy/imports.ts';
import { faceProblems, shapeProblems, wordProblems } from './tidy/shape.ts';
import { filesUnder, ROOT, Source } from './tidy/source.ts';

const CODE = ['.ts', '.mjs'];
const sources = ['framework', 'apps', 'examples', 'test'].flatMap((it) => filesUnder(it, CODE));
const published = ['log', 'node', 'raft', 'smr', 'smr/sql', 'testing', 'testing/containers'];

describe('the house is tidy', () => {
  test('imports point one way, through front doors', () => {
    expect(sources.flatMap(importProblems)).toEqual([]);
  });

  test('only runtime touches the outside', () => {
    expect(sources.flatMap(bannedCalls)).toEqual([]);
  });

  test('files are small and named after what they hold', () => {
    expect(sources.flatMap(shapeProblems)).toEqual([]);
  });

  test('nothing is unfinished or left over', () => {
    const texts = ['framework', 'apps', 'docs', 'examples', 'infra'].flatMap((it) =>
      filesUnder(it, ['.md', '.proto', '.yaml', '.yml', '.json', '.sh', 'Dockerfile']),
    );
    expect([...sources, ...texts].flatMap(wordProblems)).toEqual([]);
  });

  test('no file is dead', () => {
    expect(deadFiles(sources)).toEqual([]);
  });

  test('each folder of framework has a face', () => {
    const folders = readdirSync(join(ROOT, 'framework'), { withFileTypes: true })
      .filter((it) => it.isDirectory())
      .map((it) => it.name)
      // The faces of wire are its generated files.
      .filter((it) => it !== 'wire');
    const problems = folders.flatMap((folder) =>
      faceProblems(
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

  test('the framework uses every package that it makes its users install, and no other', () => {
    const { dependencies, peerDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    ) as Record<'dependencies' | 'peerDependencies', Record<string, string>>;
    const imported = new Set(
      sources
        .filter((it) => it.folder !== undefined && !it.isTest)
        .flatMap(importsOf)
        .filter((it) => it.target === undefined)
        .map((it) => /^(@[^/]+\/)?[^/]+/.exec(it.specifier)![0]),
    );
    expect(Object.keys(dependencies).filter((it) => !imported.has(it))).toEqual([]);
    const declared = { ...dependencies, ...peerDependencies };
    const external = [...imported].filter((it) => !it.startsWith('node:'));
    expect(external.filter((it) => declared[it] === undefined)).toEqual([]);
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

  test.each([
    ['framework/raft/x.ts', `import { a } from '../smr/index.ts';`, 'not smr'],
    ['framework/smr/x.ts', `import { a } from '../raft/index.ts';`, 'not raft'],
    ['framework/base/x.ts', `import { a } from '../wire/message.ts';`, 'nothing'],
    ['framework/log/client/x.ts', `import { a } from '../../runtime/index.ts';`, 'not runtime'],
    ['framework/node/x.ts', `import { a } from '../testing/index.ts';`, 'not testing'],
    ['framework/testing/x.ts', `import { a } from '../node/index.ts';`, 'not node'],
    ['framework/raft/core/x.ts', `import { a } from '../../store/index.ts';`, 'core/'],
    ['framework/raft/core/x.ts', `import { a } from '../driver.ts';`, 'core/'],
    ['framework/log/x.ts', `import { a } from '../raft/core/node.ts';`, 'index.ts'],
    ['framework/log/x.ts', `import { a } from '../raft/index';`, '.ts'],
    ['framework/log/x.ts', `import fs from 'node:fs';`, 'Ports'],
    ['framework/log/x.ts', `const fs = await import('node:fs');`, 'Ports'],
    ['framework/log/x.ts', `import { Client } from '@grpc/grpc-js';`, 'Network'],
    ['framework/log/x.ts', `import protobuf from 'protobufjs';`, 'codecs'],
    ['framework/store/x.ts', `import { Subject } from 'rxjs';`, 'edge'],
    ['framework/raft/core/x.ts', `import { Subject } from 'rxjs';`, 'edge'],
    ['framework/smr/x.ts', `import { DataSource } from 'typeorm';`, 'smr/sql'],
    ['framework/log/x.ts', `import { a } from 'varlog/raft';`, 'relative'],
    ['framework/log/x.ts', `import { a } from '../../apps/kv-store/x.ts';`, 'outside'],
    ['apps/kv-store/x.ts', `import { a } from '../../framework/log/index.ts';`, 'varlog/'],
    ['examples/x.ts', `import { a } from '../framework/log/index.ts';`, 'varlog/'],
  ])('%s: %s', (path, text, said) => {
    expect(importProblems(at(path, text))).toEqual([expect.stringContaining(said)]);
  });

  test.each([
    ['framework/log/x.ts', `import { a } from '../raft/index.ts';`],
    ['framework/log/index.ts', `import { realPorts } from '../runtime/index.ts';`],
    ['framework/raft/core/x.ts', `import { a } from '../../base/index.ts';`],
    ['framework/raft/core/x.ts', `import { a } from './log.ts';`],
    ['framework/raft/x.ts', `import { Entry } from '../wire/gen/raft.ts';`],
    ['framework/raft/x.test.ts', `import { World } from '../testing/index.ts';`],
    ['framework/runtime/x.ts', `import fs from 'node:fs';`],
    ['framework/log/x.ts', `// import fs from 'node:fs';`],
    ['apps/kv-store/x.ts', `import { a } from 'varlog/log';`],
  ])('%s: %s is fine', (path, text) => {
    expect(importProblems(at(path, text))).toEqual([]);
  });

  test.each([
    ['Date.now()', 'clock.wall()'],
    ['new Date()', 'clock.wall()'],
    ['performance.now()', 'clock.now()'],
    ['setTimeout(f, 1)', 'clock.after'],
    ['setInterval(f, 1)', 'clock.after'],
    ['setImmediate(f)', 'clock.defer'],
    ['queueMicrotask(f)', 'clock.defer'],
    ['process.nextTick(f)', 'clock.defer'],
    ['Math.random()', 'random.fraction()'],
    ['crypto.randomUUID()', 'random.id()'],
    ['AbortSignal.timeout(5)', 'timeoutMs'],
    ["console.log('x')", 'logger.log'],
    ['process.env', 'an option'],
    ['await fetch(url)', 'Network'],
    ['`$' + '{Date.now()}`', 'clock.wall()'],
  ])('%s is found, and its replacement is named', (call, instead) => {
    const found = bannedCalls(at('framework/log/x.ts', `const a = 1;\n${call};\n`));
    expect(found).toContainEqual(expect.stringContaining(instead));
    expect(found[0]).toContain('framework/log/x.ts:2');
    expect(bannedCalls(at('framework/runtime/x.ts', call))).toEqual([]);
    expect(bannedCalls(at('framework/log/x.test.ts', call))).toEqual([]);
  });

  test('comments and strings call nothing', () => {
    const text = `// Date.now()\n/* Math.random() */\nconst a = 'Date.now()' + "setTimeout(";\nconst b = \`Date.now()\`;`;
    expect(bannedCalls(at('framework/log/x.ts', text))).toEqual([]);
    const regex = `const c = /['"]/;\nDate.now();`;
    expect(bannedCalls(at('framework/log/x.ts', regex))).toHaveLength(1);
  });

  test('long files, long functions, vague and odd names, and hidden barrels are found', () => {
    const shape = (path: string, text: string): string[] => shapeProblems(at(path, text));
    expect(shape('framework/log/x.ts', 'a;\n'.repeat(401))).toEqual([
      expect.stringContaining('401 lines'),
    ]);
    expect(shape('framework/log/x.ts', 'a;\n'.repeat(400))).toEqual([]);
    expect(shape('framework/log/x.test.ts', 'a;\n'.repeat(900))).toEqual([]);
    for (const name of ['utils.ts', 'types.ts', 'helpers.test.ts']) {
      expect(shape(`framework/log/${name}`, 'a;')).toEqual([expect.stringContaining('nothing')]);
    }
    expect(shape('framework/log/OneThing.ts', 'a;')).toEqual([expect.stringContaining('kebab')]);
    expect(shape('framework/log/x.ts', `export * from './y.ts';\n`)).toEqual([
      expect.stringContaining('index.ts'),
    ]);
    expect(shape('framework/log/index.ts', `export * from './y.ts';\n`)).toEqual([]);
    const body = '    a();\n'.repeat(69);
    for (const start of [
      'function x() {',
      'export async function x(a: number): Promise<void> {',
      'const x = (a: number): void => {',
      'x(\n  a: number,\n): void {',
      'private async x(): Promise<void> {',
    ]) {
      const long = `  ${start.replaceAll('\n', '\n  ')}\n${body}  }\n`;
      expect(shape('framework/log/x.ts', long)).toEqual([expect.stringContaining('71 lines')]);
      expect(shape('framework/log/x.ts', long.replace('    a();\n', ''))).toEqual([]);
    }
    expect(shape('framework/log/x.ts', `  if (a) {\n${'    a();\n'.repeat(90)}  }\n`)).toEqual([]);
  });

  test('unfinished work, default exports and traces of a machine are found', () => {
    const words = (text: string): string[] => wordProblems(at('framework/log/x.ts', text));
    expect(words(`// ${'TO' + 'DO'}: later`)).toHaveLength(1);
    expect(words('export default 1;')).toHaveLength(1);
    expect(words(`const a = '/${'work'}/main';`)).toHaveLength(1);
    expect(words(`describe.${'only'}('x');`)).toHaveLength(1);
    expect(words('const network = 1; // the framework/log works')).toEqual([]);
  });

  test('a file that only its test imports is dead', () => {
    const files = [
      at('framework/log/index.ts', `export * from './used.ts';`),
      at('framework/log/used.ts', 'export const a = 1;'),
      at('framework/log/unused.ts', 'export const a = 1;'),
      at('framework/log/unused.test.ts', `import { a } from './unused.ts';`),
      at('framework/log/fake.fixture.ts', 'export const a = 1;'),
      at('framework/testing/suite.ts', 'export const a = 1;'),
      at('framework/log/suite.test.ts', `import { a } from '../testing/suite.ts';`),
    ];
    expect(deadFiles(files)).toEqual([expect.stringContaining('framework/log/unused.ts')]);
  });

  test('a folder without a face, a doc comment or an example is found', () => {
    const index = (text: string): Source => at('framework/log/index.ts', text);
    expect(faceProblems('log', undefined, true)).toHaveLength(1);
    expect(faceProblems('log', index(`export * from './x.ts';`), true)).toHaveLength(1);
    expect(faceProblems('log', index('/** A log. */'), true)).toHaveLength(1);
    expect(faceProblems('log', index('/** A log. */'), false)).toEqual([]);
    expect(faceProblems('log', index('/**\n * ```ts\n * a();\n * ```\n */'), true)).toEqual([]);
  });
});
