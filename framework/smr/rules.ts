import { VarlogError } from '../base/index.ts';

/** What the code of a machine says of the rules that it knows. */
export interface KnownRules {
  /** The newest version. Default: 1. */
  readonly rules?: number;
  /** The oldest one. Default: 1. */
  readonly rulesFrom?: number;
}

/** The rules in force where no entry has raised them yet. */
const FIRST_RULES = 1;
/** Snapshots hold them as uint32. */
const LAST_RULES = 2 ** 32 - 1;

/**
 * By which version of its rules a machine's commands are applied: part of the replicated state, raised by entries. So the
 * log alone decides, and a replica of newer code answers as those of older code do until the log says otherwise.
 */
export class Rules {
  private readonly newest: number;
  private readonly oldest: number;
  private now = FIRST_RULES;

  /** Throws `INVALID_ARGUMENT` where `known` makes no sense. */
  constructor(known: KnownRules = {}) {
    const { rules = FIRST_RULES, rulesFrom = FIRST_RULES } = known;
    checkVersion(rules);
    checkVersion(rulesFrom);
    if (rulesFrom > rules) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `a machine says that it knows rules from ${rulesFrom} to ${rules}`,
        next: 'correct its `rules` or `rulesFrom`',
      });
    }
    this.newest = rules;
    this.oldest = rulesFrom;
  }

  get inForce(): number {
    return this.now;
  }

  /** As a snapshot has it: 0 where none was raised. */
  get stored(): number {
    return this.now === FIRST_RULES ? 0 : this.now;
  }

  /** Throws `INVALID_ARGUMENT` where this code does not know the version, so that it would stop at it itself. */
  checkKnown(version: number): void {
    checkVersion(version);
    if (version <= this.newest) return;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the code of this replica knows rules up to ${this.newest}, and they were to be raised to ${version}`,
      next: 'ask a replica whose code knows them, once all replicas have that code',
      outcome: 'notAppended',
    });
  }

  /**
   * The entry at `position` raises them; a lower version than that in force changes nothing. Throws `APPLY_FAILED` before
   * anything is applied by rules that this code does not know.
   */
  raise(to: number, position: number): void {
    if (to > this.newest) throw unknownRules(to, this.newest, position);
    this.now = Math.max(this.now, to);
  }

  /** Throws `APPLY_FAILED` where the code is too new for the command at `position`. */
  check(position: number): void {
    if (this.now >= this.oldest) return;
    throw new VarlogError('APPLY_FAILED', {
      what: `the command at position ${position} is to be applied by rules ${this.now}, and this code knows them from ${this.oldest} on only`,
      because: 'it was written before the rules were raised',
      next: 'start the replica with code that knows both, or from a snapshot that was made after they were raised; a new log begins with an upgrade',
      details: { position, rules: this.now, rulesFrom: this.oldest },
    });
  }

  /** Throws `APPLY_FAILED` where this code cannot go on from a state under these rules. */
  checkStored(inForce: number): void {
    if (inForce > this.newest) throw unknownRules(inForce, this.newest);
  }

  /** From what {@link stored} was, after {@link checkStored}. */
  restore(inForce: number): void {
    this.now = Math.max(inForce, FIRST_RULES);
  }
}

export function isVersionOfRules(version: number): boolean {
  return Number.isSafeInteger(version) && version >= FIRST_RULES && version <= LAST_RULES;
}

/** Throws `INVALID_ARGUMENT` for what is no version of rules. */
export function checkVersion(version: number): void {
  if (isVersionOfRules(version)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${version} is no version of rules`,
    next: `give a whole number from ${FIRST_RULES} to ${LAST_RULES}`,
    outcome: 'notAppended',
  });
}

function unknownRules(rules: number, known: number, position?: number): VarlogError {
  const where = position === undefined ? 'in the snapshot' : `from position ${position} on`;
  const undo =
    position === undefined
      ? ''
      : `; where no code knows them, take the upgrade back with skipCommand(log, ${position})`;
  return new VarlogError('APPLY_FAILED', {
    what: `rules ${rules} are in force ${where}, and the code of this replica knows them up to ${known}`,
    because: 'the rules were raised before this replica was upgraded',
    next: `start it with newer code: it resumes here${undo}`,
    details: position === undefined ? { rules, known } : { position, rules, known },
  });
}
