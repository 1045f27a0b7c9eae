import { join } from 'node:path';
import { BadTree } from './bad-tree.ts';
import { ROOT } from './source.ts';

/** What only runtime may call, and what the message names instead. */
const CALLS: [string, string][] = [
  ['Date.now()', 'clock.wall()'],
  ['new Date()', 'clock.wall()'],
  ['performance.now()', 'clock.now()'],
  ['setTimeout(f, 1)', 'clock.after'],
  ['setInterval(f, 1)', 'clock.after'],
  ['setImmediate(f)', 'clock.defer'],
  ['queueMicrotask(f)', 'clock.defer'],
  ['process.nextTick(f)', 'an option'],
  ['Math.random()', 'random.fraction()'],
  ['crypto.randomUUID()', 'random.id()'],
  ['AbortSignal.timeout(5)', 'timeoutMs'],
  ['AbortSignal.any([a, b])', 'firstAbort'],
  ["console.log('x')", 'logger.log'],
  ['process.env', 'an option'],
  ['await fetch(url)', 'Network'],
  ['`$' + '{Date.now()}`', 'clock.wall()'],
];
const FREE = ['framework/runtime/x', 'framework/node/x', 'framework/log/x.test', 'apps/x'];

const body = (lines: number): string => `{\n${'  a();\n'.repeat(lines)}}\n`;
const SHAPES: [string, string, string][] = [
  ['framework/log/long.ts', 'a();\n'.repeat(401), 'noExcessiveLinesPerFile'],
  ['framework/log/long-function.ts', `export function x() ${body(71)}`, 'noExcessiveLinesPer'],
  ['framework/log/long-arrow.ts', `const x = () => ${body(71)}`, 'noExcessiveLinesPerFunction'],
  ['framework/log/OneThing.ts', 'a();\n', 'useFilenamingConvention'],
  ['framework/log/barrel.ts', `export * from './y.ts';\n`, 'noBarrelFile'],
  ['framework/log/default.ts', 'export default 1;\n', 'noDefaultExport'],
  ['framework/log/debugger.ts', 'debugger;\n', 'noDebugger'],
  ['framework/log/only.test.ts', `describe.${'only'}('x', () => {});\n`, 'noFocusedTests'],
  ['framework/log/skipped.test.ts', `describe.${'skip'}('x', () => {});\n`, 'noSkippedTests'],
  ['framework/log/ending.ts', `import { a } from './barrel';\na();\n`, 'useImportExtensions'],
];
const FINE: [string, string][] = [
  ['framework/log/short.ts', 'a();\n'.repeat(400)],
  ['framework/log/long.test.ts', 'a();\n'.repeat(900)],
  ['framework/log/index.ts', `export * from './y.ts';\n`],
  ['framework/testing/contracts/disk.ts', `export function suite() ${body(90)}`],
];

function lint(files: Record<string, string>): { path: string; rule: string; text: string }[] {
  using tree = new BadTree(files, ['biome.json']);
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const flags = ['--vcs-enabled=false', '--colors=off', '--max-diagnostics=none'];
  const report = tree.run([biome, 'lint', ...flags, '.']);
  if (!report.includes('Checked ')) throw new Error(report);
  return report
    .split(/^(?=\S+ (?:lint|parse)\b.* ━)/m)
    .map((text) => ({ text, head: /^(\S+?\.ts)\S* (\S+)/.exec(text) }))
    .flatMap(({ text, head }) => (head === null ? [] : [{ path: head[1]!, rule: head[2]!, text }]));
}

test('what only runtime may call is found elsewhere, and its replacement is named', () => {
  const files = Object.fromEntries(
    CALLS.flatMap(([call], i) =>
      ['framework/log/x', ...FREE].map((it) => [`${it.replace('x', `x${i}`)}.ts`, `${call};\n`]),
    ),
  );
  const found = lint(files).filter((it) => /noRestrictedGlobals|RestrictedProp/.test(it.rule));
  for (const [i, [call, instead]] of CALLS.entries()) {
    const texts = found.filter((it) => it.path === `framework/log/x${i}.ts`).map((it) => it.text);
    expect([call, texts]).toEqual([call, [expect.stringContaining(instead)]]);
  }
  expect(found.filter((it) => !/^framework\/log\/x\d+\.ts$/.test(it.path))).toEqual([]);
});

test('comments and strings call nothing', () => {
  const text = `// Date.now()\n/* Math.random() */\nexport const a = 'Date.now()';\n`;
  expect(lint({ 'framework/log/x.ts': text })).toEqual([]);
});

test('long files and functions, odd names, hidden barrels and what is left over are found', () => {
  const found = lint(Object.fromEntries([...SHAPES.map(([path, text]) => [path, text]), ...FINE]));
  for (const [path, , rule] of SHAPES) {
    const rules = found.filter((it) => it.path === path).map((it) => it.rule);
    expect([path, rules]).toEqual([path, expect.arrayContaining([expect.stringContaining(rule)])]);
  }
  expect(found.filter((it) => FINE.some(([path]) => path === it.path))).toEqual([]);
});
