import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { ROOT, type Source } from '../tidy/source.ts';

/** A link in a page: `[text](target#fragment)`. */
export interface Link {
  readonly page: Source;
  readonly text: string;
  /** From the root, with `/`. */
  readonly target: string;
  readonly fragment: string | undefined;
  readonly offset: number;
}

const LINK = /\[((?:[^[\]\\]|\\.)*)\]\(([^()\s]+)\)/g;
const FENCED = /^```[\s\S]*?^```$/gm;

/** The links of a page that lead into the project; what is fenced as code has none. */
export function linksOf(page: Source): Link[] {
  const text = page.text.replace(FENCED, (block) => block.replace(/[^\n]/g, ' '));
  const links: Link[] = [];
  for (const { 1: label, 2: address, index } of text.matchAll(LINK)) {
    if (/^[a-z]+:/.test(address!)) continue;
    const [path = '', fragment] = address!.split('#');
    const target = path === '' ? page.path : posix.join(posix.dirname(page.path), path);
    links.push({ page, text: label!, target, fragment, offset: index });
  }
  return links;
}

/** Where a link leads nowhere, or names something that is not there; one string. */
export function linkProblem(link: Link, read: (path: string) => string | undefined): string[] {
  const { page, target, fragment, offset, text } = link;
  const problem = (what: string): string[] => [`${page.at(offset)}: ${what}`];
  const content = read(target);
  if (content === undefined) return problem(`there is no ${target}`);
  const title = /^“(.+)”$/.exec(text)?.[1];
  if (title !== undefined && !content.includes(title)) {
    return problem(`${target} does not say “${title}”`);
  }
  if (fragment === undefined) return [];
  if (target.endsWith('.md')) {
    return anchorsOf(content).has(fragment)
      ? []
      : problem(`${target} has no heading "#${fragment}"`);
  }
  // What a test is about may be named by a text.
  const isThere = target.endsWith('.test.ts') ? mentions : declares;
  const lacking = fragment.split('.').filter((it) => !isThere(content, it));
  return lacking.length === 0 ? [] : problem(`${target} has no ${lacking.join(' and no ')}`);
}

function mentions(text: string, word: string): boolean {
  return new RegExp(`(?<![\\w$])${literal(word)}(?![\\w$])`).test(text);
}

/** Whether a module has a declaration of this name, or a class or interface in it a member; by indentation. */
function declares(text: string, name: string): boolean {
  const own = '(?:export )?(?:abstract )?(?:async )?(?:class|interface|function|type|const) ';
  const member = '  (?:(?:private|protected|public|static|async|readonly|override|get|set) |\\*)*';
  return new RegExp(`^(?:${own}|${member})${literal(name)}(?![\\w$])`, 'm').test(text);
}

function literal(name: string): string {
  return name.replaceAll('$', '\\$');
}

/** What a link may lead to: a file's text, or a folder, which has none. */
export function readTarget(path: string): string | undefined {
  const full = join(ROOT, path);
  if (!existsSync(full)) return undefined;
  return statSync(full).isDirectory() ? readdirSync(full).join('\n') : readFileSync(full, 'utf8');
}

/** As hosting platforms make them from headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replace(FENCED, '').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
