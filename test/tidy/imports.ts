import { posix } from 'node:path';
import type { Problems, Source } from './source.ts';

/** Which folders of framework/ a folder may import. `testing` and `node` know everything but each other. */
const ALLOWED: Record<string, readonly string[]> = {
  base: [],
  wire: ['base'],
  store: ['base', 'wire'],
  raft: ['base', 'wire', 'store'],
  smr: ['base', 'wire', 'store'],
  log: ['base', 'wire', 'store', 'raft', 'smr'],
  runtime: ['base', 'wire'],
  testing: ['base', 'wire', 'store', 'raft', 'smr', 'log', 'runtime'],
  node: ['base', 'wire', 'store', 'raft', 'smr', 'log', 'runtime'],
};

/** A published folder's face may supply the real ports as defaults. */
const COMPOSITION_ROOT = /^framework\/(log|raft|smr|smr\/sql|testing)\/index\.ts$/;

/** A command of the metadata names the message that it is written as. */
const COMMANDS = /^framework\/log\/core\/command(s\/[^/]+|-definition)\.ts$/;

/** Packages that only some files may know, and who. */
const PACKAGES: readonly { package: RegExp; only: RegExp; instead: string }[] = [
  {
    package: /^node:/,
    only: /^framework\/(runtime|node)\/|^framework\/wire\/generate\.mjs$|^framework\/testing\/simulator\/(run|host-[a-z-]+)\.ts$/,
    instead: 'take what you need from the Ports that are passed in',
  },
  {
    package: /^@grpc\//,
    only: /^framework\/runtime\//,
    instead: 'use the Network port',
  },
  {
    package: /^protobufjs|^long$/,
    only: /^framework\/wire\//,
    instead: "use the codecs in '../wire/gen'",
  },
  {
    package: /^typeorm/,
    only: /^framework\/smr\/sql\//,
    instead: 'keep SQL in smr/sql, which is loaded only by those who use it',
  },
  {
    package: /^testcontainers/,
    only: /^framework\/testing\/containers\//,
    instead: 'keep it in testing/containers, which is loaded only by those who use it',
  },
  {
    package: /^rxjs/,
    only: /^framework\/(raft|smr|log|testing)\/(?!core\/)/,
    instead: 'use callbacks or AsyncIterable; Observables belong to the edge',
  },
];

const IMPORT = /\b(?:from|import)\s*\(?\s*'([^']+)'/g;

export interface Import {
  readonly from: Source;
  readonly specifier: string;
  readonly offset: number;
  /** Path from the root, where the import is relative. */
  readonly target: string | undefined;
}

export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  for (const match of source.text.matchAll(IMPORT)) {
    // In a comment: an example.
    if (source.code[match.index] === ' ') continue;
    const specifier = match[1]!;
    const target = specifier.startsWith('.')
      ? posix.join(posix.dirname(source.path), specifier)
      : undefined;
    found.push({ from: source, specifier, offset: match.index, target });
  }
  return found;
}

/** Imports point one way, enter another folder by its front door, and end in `.ts`. */
export function importProblems(source: Source): Problems {
  if (source.folder === undefined)
    return /^(apps|examples)\//.test(source.path) ? asUser(source) : [];
  const problems: Problems = [];
  for (const one of importsOf(source)) {
    const problem = one.target === undefined ? ofPackage(one) : ofFile(one, one.target);
    if (problem !== undefined) problems.push(`${source.at(one.offset)}: ${problem}`);
  }
  return problems;
}

function ofPackage({ from, specifier }: Import): string | undefined {
  if (from.isTest) return undefined;
  if (specifier === 'varlog' || specifier.startsWith('varlog/')) {
    return `framework/ imports itself as '${specifier}'; use a relative path`;
  }
  const rule = PACKAGES.find((it) => it.package.test(specifier) && !it.only.test(from.path));
  return rule === undefined
    ? undefined
    : `'${specifier}' may not be imported here; ${rule.instead}`;
}

function ofFile({ from, specifier }: Import, target: string): string | undefined {
  if (!/\.(ts|mjs|json)$/.test(specifier))
    return `'${specifier}' must be written with its ending .ts`;
  if (from.isTest) return undefined;
  const core = /^(framework\/[^/]+\/core)\//.exec(from.path)?.[1];
  const to = /^framework\/([^/]+)\//.exec(target)?.[1];
  const isMessage = to === 'wire' && COMMANDS.test(from.path);
  if (core !== undefined && to !== 'base' && !target.startsWith(`${core}/`) && !isMessage) {
    return `a core/ imports only base and itself, not '${specifier}'; let its driver pass in what it needs`;
  }
  if (to === undefined) return `'${specifier}' lies outside framework/`;
  if (to === from.folder) return undefined;
  if (to === 'runtime' && COMPOSITION_ROOT.test(from.path)) return undefined;
  const allowed = ALLOWED[from.folder!];
  if (allowed === undefined) return `framework/${from.folder} is not a folder of the design`;
  if (!allowed.includes(to)) {
    return `${from.folder} may import only ${allowed.join(', ') || 'nothing'}, not ${to}`;
  }
  const door =
    to === 'wire' ? /^framework\/wire\/(gen\/)?[^/]+\.ts$/ : /^framework\/[^/]+\/index\.ts$/;
  return door.test(target) || inside(from.folder!, to) || isFolderFace(target)
    ? undefined
    : `'${specifier}' reaches into ${to}; import it through its index.ts`;
}

/** `testing` checks the insides of what it tests. */
function inside(from: string, to: string): boolean {
  return from === 'testing' && to !== 'runtime';
}

/** A part of `log` has a face of its own: log/client/index.ts. */
function isFolderFace(target: string): boolean {
  return /^framework\/log\/[^/]+\/index\.ts$/.test(target);
}

/** Apps and examples import what is published, as a user would. */
function asUser(source: Source): Problems {
  return importsOf(source)
    .filter(({ target }) => target?.startsWith('framework/'))
    .map(
      (one) =>
        `${source.at(one.offset)}: who uses the package imports 'varlog/…', not '${one.specifier}'`,
    );
}

/** Files that no other file imports: nobody would miss them. */
export function deadFiles(sources: readonly Source[]): Problems {
  const used = new Set<string>();
  for (const source of sources) {
    for (const { target } of importsOf(source)) {
      if (target !== undefined && (!source.isTest || target.startsWith('framework/testing/'))) {
        used.add(target);
      }
    }
  }
  return sources
    .filter((it) => it.folder !== undefined && !it.isTest && it.path.endsWith('.ts'))
    .filter((it) => !used.has(it.path) && !/\/(index|cli|run|healthcheck)\.ts$/.test(it.path))
    .map(
      (it) =>
        `${it.path}: no file but a test imports it; use it, remove it, or call it .fixture.ts`,
    );
}
