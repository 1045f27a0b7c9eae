import type { StateMachine } from '../../framework/smr/index.ts';

/** Remembers every command: one that is lost, or took effect twice, shows. */
export class Memory implements StateMachine<string, number, string[]> {
  seen: string[] = [];
  apply(command: string): number {
    return this.seen.push(command);
  }
  snapshot(): string[] {
    return this.seen;
  }
  restore(seen: string[]): void {
    this.seen = [...seen];
  }
}

/** A command, and what its client was told. */
export interface CommandRecord {
  readonly command: string;
  outcome: 'done' | 'notAppended' | 'unknown';
}

/** Throws where a {@link Memory} does not hold what clients were told. */
export function checkCommands(seen: readonly string[], commands: readonly CommandRecord[]): void {
  must(new Set(seen).size === seen.length, 'a command took effect twice');
  for (const { command, outcome } of commands) {
    if (outcome === 'done') must(seen.includes(command), `"${command}" is lost`);
    if (outcome === 'notAppended') must(!seen.includes(command), `"${command}" was refused`);
  }
}

export function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`broken promise: ${what}`);
}
