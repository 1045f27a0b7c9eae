import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** The folder that holds package.json. */
export const ROOT = resolve(__dirname, '../..');

const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git', '.varlog', 'gen']);

/** A text file of the project. */
export class Source {
  /** From the root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** The same text with comments and the content of strings blanked out; lines stay where they are. */
  readonly code: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    this.code = blank(text);
  }

  get name(): string {
    return this.path.slice(this.path.lastIndexOf('/') + 1);
  }

  /** Tests, and what only tests use: `x.fixture.ts`. */
  get isTest(): boolean {
    return /\.(test|fixture)\.ts$/.test(this.path) || this.path.startsWith('test/');
  }

  /** The folder under framework/, or undefined for a file elsewhere. */
  get folder(): string | undefined {
    return /^framework\/([^/]+)\//.exec(this.path)?.[1];
  }

  /** `path:line`, for messages. */
  at(offset: number): string {
    return `${this.path}:${this.text.slice(0, offset).split('\n').length}`;
  }
}

/** What is wrong and what to do about it, one string each. */
export type Problems = string[];

/** All files under a folder of the project that end in one of `extensions`. */
export function filesUnder(folder: string, extensions: readonly string[]): Source[] {
  const found: Source[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) visit(path);
      } else if (extensions.some((it) => entry.name.endsWith(it))) {
        const fromRoot = relative(ROOT, path).replaceAll('\\', '/');
        found.push(new Source(fromRoot, readFileSync(path, 'utf8')));
      }
    }
  };
  visit(join(ROOT, folder));
  return found;
}

const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|(?<=[(,=:[!&|?{};\n]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])*\//g;

function blank(text: string): string {
  return text.replace(TOKEN, (token) => {
    // Code inside a template still runs.
    if (token.startsWith('`')) return blankTemplate(token);
    return token.replace(/[^\n]/g, ' ');
  });
}

function blankTemplate(template: string): string {
  let depth = 0;
  let out = '';
  for (let i = 0; i < template.length; i++) {
    const char = template[i]!;
    if (depth === 0 && char === '$' && template[i + 1] === '{') {
      depth = 1;
      i++;
      out += '  ';
      continue;
    }
    if (depth > 0 && char === '{') depth++;
    if (depth > 0 && char === '}') depth--;
    out += depth > 0 || char === '\n' ? char : ' ';
  }
  return out;
}
