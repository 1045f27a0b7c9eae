import type { Problems, Source } from './source.ts';

/** Names that say nothing about what is inside. */
const VAGUE = new Set(['utils', 'util', 'types', 'helpers', 'helper', 'common', 'misc', 'shared']);

/** A file is named after the idea it holds. */
export function nameProblems({ path }: Source): Problems {
  const stem = path.slice(path.lastIndexOf('/') + 1).split('.')[0]!;
  return VAGUE.has(stem)
    ? [`${path}: "${stem}" says nothing; name it after the idea it holds`]
    : [];
}

/** Words that have no place in any file. */
export function wordProblems(source: Source): Problems {
  const problems: Problems = [];
  const find = (pattern: RegExp, what: string): void => {
    for (const match of source.text.matchAll(pattern))
      problems.push(`${source.at(match.index)}: ${what}`);
  };
  // Put together, so that this file passes its own rules.
  const unfinished = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|');
  find(
    new RegExp(`\\b(${unfinished})\\b`, 'g'),
    'unfinished work; do it, or say what is missing in the docs',
  );
  find(
    new RegExp(`(?<![\\w.])/${'work'}/|\\bregistry${'\\.'}npm`, 'g'),
    'names a machine of its own',
  );
  return problems;
}

/** What the top folders of framework/ owe their readers. */
export function entryPointProblems(
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
