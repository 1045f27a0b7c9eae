import { assert, VarlogError } from '../../base/index.ts';
import type { CommandDefinition } from './command-definition.ts';
import * as commands from './commands/index.ts';

type Definitions = (typeof commands)[keyof typeof commands];

type CommandOf<Definition> =
  Definition extends CommandDefinition<infer Command, infer _> ? Command : never;

/** A change of the cluster's metadata, as it lies in the log of the metadata repository. */
export type MetadataCommand = CommandOf<Definitions>;

/** A definition of whichever command: what it is given must be its own. */
export type AnyDefinition = CommandDefinition<MetadataCommand, unknown>;

/** All commands that this version knows. */
const definitions: readonly AnyDefinition[] = Object.values<unknown>(commands) as AnyDefinition[];

/** The highest feature level that this version supports. */
export const NEWEST_FEATURE_LEVEL = Math.max(...definitions.map((it) => it.level));

const byKind = new Map(definitions.map((it) => [it.kind as string, it]));
const byNumber = new Map(definitions.map((it) => [it.number, it]));
assert(byKind.size === definitions.length, 'each command has a name of its own');
assert(byNumber.size === definitions.length, 'each command has a number of its own');

/** What there is to know of a command. Throws `APPLY_FAILED` for one that this version does not know. */
export function definitionOf(command: { readonly kind: string }): AnyDefinition {
  const known = byKind.get(command.kind);
  if (known === undefined) throw unknownCommand(`the name "${command.kind}"`);
  return known;
}

/** The same, by the number on the wire. */
export function definitionOfNumber(number: number): AnyDefinition {
  const known = byNumber.get(number);
  if (known === undefined) throw unknownCommand(`the number ${number}`);
  return known;
}

function unknownCommand(name: string): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: `there is no command of the metadata with ${name} in this version`,
    next: 'start this member with the version that the others run: it resumes with this command',
  });
}
