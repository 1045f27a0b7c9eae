import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { linkProblem, linksOf, readTarget } from './docs/links.ts';
import { MUTANTS } from './simulation/raft-mutants.ts';
import { wordProblems } from './tidy/shape.ts';
import { filesUnder, ROOT, Source } from './tidy/source.ts';

const topLevel = readdirSync(ROOT)
  .filter((it) => it.endsWith('.md'))
  .map((it) => new Source(it, readFileSync(join(ROOT, it), 'utf8')));
const folders = ['docs', 'examples', 'framework', 'apps', 'infra', 'test'];
const pages = [...topLevel, ...folders.flatMap((it) => filesUnder(it, ['.md']))];

function page(path: string): Source {
  const found = pages.find((it) => it.path === path);
  if (found === undefined) throw new Error(`there is no ${path}`);
  return found;
}

describe('the documentation', () => {
  test('every link leads to a file, a heading, a symbol or a test that is there', () => {
    const problems = pages
      .flatMap(linksOf)
      .flatMap((link) => linkProblem(link, (path) => readTarget(path)));
    expect(problems).toEqual([]);
  });

  test('nothing is unfinished', () => {
    expect(pages.flatMap(wordProblems)).toEqual([]);
  });

  test('what npm, hosting platforms and editors look for is there', () => {
    const files = ['LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', '.editorconfig'];
    const { license, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const texts = files.map((it) => readFileSync(join(ROOT, it), 'utf8'));
    expect({ license, text: texts[0] }).toEqual({
      license: 'Apache-2.0',
      text: expect.stringContaining('Apache License\n                           Version 2.0'),
    });
    expect(texts[1]).toContain(`## [${version}]`);
  });

  test('the index names every page', () => {
    const named = new Set(linksOf(page('docs/README.md')).map((it) => it.target));
    const own = pages.map((it) => it.path).filter((it) => it.startsWith('docs/'));
    expect(own.filter((it) => it !== 'docs/README.md' && !named.has(it))).toEqual([]);
  });

  test('each folder of the framework says where to begin reading', () => {
    const parts = ['framework', 'framework/log'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { withFileTypes: true })
        .filter((it) => it.isDirectory())
        .map((it) => `${folder}/${it.name}/README.md`),
    );
    expect(parts.filter((it) => !pages.some(({ path }) => path === it))).toEqual([]);
  });

  test('the page of error codes is what errors.ts says', () => {
    execFileSync(process.execPath, ['infra/error-codes.mjs', '--check'], {
      cwd: ROOT,
      stdio: 'pipe',
    });
  });

  test('each rule of the protocol names a test that holds it', () => {
    const sections = page('docs/protocol.md').text.split(/^### /m).slice(1);
    const rules = sections.map((text) => ({
      rule: text.split('\n')[0]!,
      tests: linksOf(new Source('docs/protocol.md', text)).filter(
        ({ text: title, target }) => /^“.+”$/.test(title) && target.endsWith('.test.ts'),
      ).length,
    }));
    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter((it) => it.tests === 0)).toEqual([]);
  });

  test('each mutant of ordering and of Raft stands beside the rule that it breaks', () => {
    const { text } = page('docs/protocol.md');
    const walk = readFileSync(join(ROOT, 'test/simulation/ordering-walk.test.ts'), 'utf8');
    const listed = /const DEFECTS[^[]*\[\]\s*=\s*\[([^\]]*)\]/.exec(walk)?.[1] ?? '';
    const defects = [...listed.matchAll(/'(\w+)'/g)].map((it) => it[1]!);
    expect(defects.length).toBeGreaterThan(10);
    const missing = [...defects, ...Object.keys(MUTANTS)].filter((it) => !text.includes(it));
    expect(missing).toEqual([]);
  });

  test.each(['append', 'tail', 'command', 'proposal'])(
    'the walk of one %s meets each station once',
    (name) => {
      const { text, path } = page(`docs/walk-one-${name}.md`);
      const stations = linksOf(new Source(path, text)).filter(({ fragment, target }) => {
        return fragment !== undefined && target.endsWith('.ts');
      });
      const places = stations.map(({ target, fragment }) => `${target}#${fragment}`);
      expect(places.length).toBeGreaterThan(5);
      expect(places.filter((it, i) => places.indexOf(it) !== i)).toEqual([]);
    },
  );
});

describe('links that lead nowhere are found', () => {
  const files: Record<string, string> = {
    'docs/a.md': '# One thing\n\n## What it isn’t: `x`\n',
    'framework/x.ts':
      'export class Cut {\n  async apply() {\n    this.undo();\n  }\n}\n// Cuts are applied once.\n',
  };
  const problemsOf = (text: string): string[] =>
    linksOf(new Source('docs/a.md', text)).flatMap((it) => linkProblem(it, (path) => files[path]));

  test.each([
    '[a](a.md)',
    '[a](#one-thing)',
    '[a](a.md#what-it-isnt-x)',
    '[x](../framework/x.ts#Cut)',
    '[x](../framework/x.ts#Cut.apply)',
    '[“Cuts are applied once”](../framework/x.ts)',
    '[elsewhere](https://example.org/nothing)',
    '```\n[x](nowhere.md)\n```',
  ])('%s is fine', (text) => {
    expect(problemsOf(text)).toEqual([]);
  });

  test.each([
    '[b](b.md)',
    '[a](#another-thing)',
    '[x](../framework/x.ts#Seal)',
    '[x](../framework/x.ts#Cut.undo)',
    '[“Cuts are applied twice”](../framework/x.ts)',
  ])('%s is not', (text) => {
    expect(problemsOf(text)).toHaveLength(1);
  });
});
