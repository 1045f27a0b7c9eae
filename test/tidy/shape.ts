import type { Problems, Source } from './source.ts';

const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
/** Names that say nothing about what is inside. */
const VAGUE = new Set(['utils', 'util', 'types', 'helpers', 'helper', 'common', 'misc', 'shared']);

/** A file holds one idea, is named after it, and is no longer than a reader's patience. */
export function shapeProblems(source: Source): Problems {
  const problems: Problems = [];
  const lines = source.text.split('\n').length - 1;
  if (!source.isTest && lines > LINES_MAX) {
    problems.push(`${source.path}: ${lines} lines are more than ${LINES_MAX}; split it by idea`);
  }
  const stem = source.name.split('.')[0]!;
  if (VAGUE.has(stem)) {
    problems.push(`${source.path}: "${stem}" says nothing; name it after the idea it holds`);
  }
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)+$/.test(source.name)) {
    problems.push(`${source.path}: file names are written in-kebab-case`);
  }
  if (source.name !== 'index.ts' && isBarrel(source)) {
    problems.push(`${source.path}: only an index.ts may do nothing but pass on exports`);
  }
  // A contract suite is a test that others register.
  const isSuite = source.path.startsWith('framework/testing/contracts/');
  if (!source.isTest && !isSuite && source.name.endsWith('.ts')) {
    problems.push(...longFunctions(source));
  }
  return problems;
}

/** Words and constructs that have no place in any file. */
export function wordProblems(source: Source): Problems {
  const problems: Problems = [];
  const find = (text: string, pattern: RegExp, what: string): void => {
    for (const match of text.matchAll(pattern)) problems.push(`${source.at(match.index)}: ${what}`);
  };
  if (!source.name.endsWith('.config.mjs')) {
    find(source.code, /^export default\b/gm, 'no default exports; export it by its name');
  }
  // Put together, so that this file passes its own rules.
  const unfinished = new RegExp(
    `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`,
    'g',
  );
  find(source.text, unfinished, 'unfinished work; do it, or say what is missing in the docs');
  find(
    source.text,
    new RegExp(`(?<![\\w.])/${'work'}/|\\bregistry${'\\.'}npm`, 'g'),
    'names a machine of its own',
  );
  find(source.code, /\bdebugger\b|\b(describe|test|it)\.only\(/g, 'left over from debugging');
  return problems;
}

/** What the top folders of framework/ owe their readers. */
export function faceProblems(
  folder: string,
  index: Source | undefined,
  published: boolean,
): Problems {
  if (index === undefined)
    return [`framework/${folder}: has no index.ts; it is the folder's front door`];
  const comment = /^\/\*\*[\s\S]*?\*\//.exec(index.text)?.[0];
  if (comment === undefined) {
    return [
      `${index.path}: opens with a doc comment: what the folder is, an example, what it does not do`,
    ];
  }
  return published && !comment.includes('```ts')
    ? [`${index.path}: its doc comment lacks a complete example`]
    : [];
}

function isBarrel(source: Source): boolean {
  const code = source.code.replace(
    /^export\s+(type\s+)?(\*|\{[^}]*\})(\s+as \w+)?\s+from\s+;?/gm,
    '',
  );
  return source.code.trim() !== '' && code.trim() === '';
}

const FUNCTION_START =
  /^(\s*)(?:(?:export )?(?:async )?function\b.*|(?!(?:if|for|while|switch|catch|else|return|do|try)\b)(?:(?:private|protected|public|static|async|override|get|set) )*[#\w]+(?:<[^(]*>)?\(.*|.*=> |\).*)\{$/;

/** By indentation, which the formatter guarantees. */
function longFunctions(source: Source): Problems {
  const problems: Problems = [];
  const lines = source.code.split('\n');
  lines.forEach((line, start) => {
    const indent = FUNCTION_START.exec(line)?.[1] ?? /^(\s*)\S.*=> \{$/.exec(line)?.[1];
    if (indent === undefined) return;
    let end = start + 1;
    while (end < lines.length && !lines[end]!.startsWith(`${indent}}`)) end++;
    const length = end - start + 1;
    if (length > FUNCTION_LINES_MAX) {
      problems.push(
        `${source.path}:${start + 1}: a function of ${length} lines; ${FUNCTION_LINES_MAX} are many`,
      );
    }
  });
  return problems;
}
