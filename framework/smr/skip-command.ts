import {
  checkCount,
  checkGivenCount,
  checkNames,
  LIMIT_NAMES,
  type LogCallOptions,
  type OrderedLog,
  type OrderedLogSource,
  VarlogError,
} from '../base/index.ts';
import { type CheckEntry, EnvelopeReader, encodeCheck, encodeSkip } from './envelope.ts';
import { machineCall } from './machine-call.ts';

const NAMES = { name: true, timer: true, ...LIMIT_NAMES };

/**
 * What an order passes over, as a number: the command at a position of the log, or, below 0, the command of the timer
 * with that id.
 */
export type SkipTarget = number;

export function skipTarget(position: number, timer: number | undefined): SkipTarget {
  return timer === undefined || timer === 0 ? position : -timer;
}

/** A command, in the words of an error, and the call that has all replicas pass over it. */
export function namesOf(
  position: number,
  timer: number | undefined,
): { what: string; skip: string } {
  if (timer === undefined)
    return { what: `the command at position ${position}`, skip: `skipCommand(log, ${position})` };
  return {
    what: `the command of timer ${timer}, which is due at position ${position},`,
    skip: `skipCommand(log, ${position}, { timer: ${timer} })`,
  };
}

/** What lies after a position of the log. */
interface Survey {
  /** What is at the position itself. */
  readonly kind: EnvelopeReader['kind'];
  /** Furthest position that the writer of an entry after it had applied. */
  readonly seen: number;
  readonly skips: ReadonlySet<SkipTarget>;
}

/**
 * Orders every replica of a machine to pass over the command at `position`, which none of them can apply: it takes no
 * effect, and whoever sent it is told so. Start the replicas that stopped again: they find the order by looking ahead.
 * To be used with the position that the failed replicas name (`APPLY_FAILED`, `details.position`), and with the timer, where
 * they name one (`details.timer`): then it is the command of that which is passed over, and not the entry's own. An upgrade
 * that no replica knows is passed over in the same way, and what another replica said of its state (`STATE_DIVERGED`,
 * `details.entry`).
 *
 * Rejects with `FAILED_PRECONDITION` where a replica has applied the command meanwhile, with `INVALID_ARGUMENT` where
 * no command of this machine is there, with `TRIMMED` where the log begins after it, and with errors of the log.
 *
 * @param options.name of the machine, as its replicas have it. Default: `machine`.
 * @param options.timer id of the timer, where it is the command of one.
 * @returns position of the order. A replica that did apply the command stops there; passing over the order takes it back.
 */
export async function skipCommand(
  source: OrderedLog | OrderedLogSource,
  position: number,
  options: LogCallOptions & { name?: string; timer?: number | undefined } = {},
): Promise<number> {
  const { name, timer, ...given } = options;
  checkGivenCount(position, 'position');
  checkCount(timer, 'timer', 0);
  checkNames(options, NAMES, 'skipCommand');
  const { log, machine, tag, call } = await machineCall(source, name, given);
  const { kind, seen } = await survey(log, tag, position, call);
  // It changes no state: whoever compared it already is not affected.
  if (kind === 'check' && timer === undefined)
    return log.append([encodeCheck(tag, nothingSaid(position))], call);
  const isOwn = kind === 'command' || kind === 'skip' || kind === 'upgrade';
  if (!(timer === undefined ? isOwn : kind !== 'foreign')) throw notACommand(position, machine);
  if (seen >= position) throw wasApplied(position, seen);
  return log.append([encodeSkip(tag, position, timer)], call);
}

/**
 * What an operator ordered to be passed over, from `position` on. An order counts if no replica had shown
 * before it, by what it wrote, that it had applied the command: so all who read the log agree.
 */
export async function skipsFrom(
  log: OrderedLog,
  tag: Uint8Array,
  position: number,
  signal: AbortSignal,
): Promise<ReadonlySet<SkipTarget>> {
  return (await survey(log, tag, position, { signal })).skips;
}

async function survey(
  log: OrderedLog,
  tag: Uint8Array,
  position: number,
  options: LogCallOptions,
): Promise<Survey> {
  const tail = await log.tail(options);
  const envelope = new EnvelopeReader(tag);
  const orders = new Map<number, SkipTarget>();
  let kind: Survey['kind'] = 'foreign';
  let seen = 0;
  if (!(position >= 1 && position <= tail)) return { kind, seen, skips: new Set() };
  const { signal } = options;
  for await (const it of log.follow(position, signal === undefined ? {} : { signal })) {
    if (it.kind === 'snapshot') throw isTrimmed(position, it.position);
    for (const entry of it.entries) {
      // What only a newer version can read orders nothing that this one could follow.
      if (!envelope.tryRead(entry.command, entry.position)) continue;
      if (entry.position === position) kind = envelope.kind;
      const { kind: found } = envelope;
      if (found === 'command' || found === 'tick') seen = Math.max(seen, envelope.seen);
      if (envelope.kind === 'skip' && counts(envelope.skipped, entry.position, seen))
        orders.set(entry.position, skipTarget(envelope.skipped, envelope.skippedTimer));
      if (envelope.kind === 'check' && envelope.hash === '' && envelope.checked > 0)
        orders.set(entry.position, envelope.checked);
    }
    if (it.through >= tail) return { kind, seen, skips: inForce(orders) };
  }
  signal?.throwIfAborted();
  throw new VarlogError('UNAVAILABLE', { what: 'the log ended before its tail was read' });
}

/** Takes back what an entry said of the state: there is nothing to compare. */
function nothingSaid(position: number): CheckEntry {
  return { checked: position, writer: 0, hash: '' };
}

/** Whether an order at `position` counts, after entries whose writers had applied all up to `seen`. */
export function counts(skipped: number, position: number, seen: number): boolean {
  return skipped < position && seen < skipped;
}

/** Without the orders that are to be passed over themselves. */
function inForce(orders: ReadonlyMap<number, SkipTarget>): ReadonlySet<SkipTarget> {
  const targets = new Set(orders.values());
  const skips = new Set<SkipTarget>();
  for (const [position, target] of orders) if (!targets.has(position)) skips.add(target);
  return skips;
}

function notACommand(position: number, machine: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `there is no command of machine "${machine}" at position ${position}`,
    next: 'give the position that the failed replica names, and the name that it was started with',
    details: { position },
    outcome: 'notAppended',
  });
}

function wasApplied(position: number, seen: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `a replica has applied the command at position ${position}: it went on to ${seen}`,
    because: 'the command cannot be taken back, and replicas that pass over it would differ',
    next: 'start the replicas that failed with the version of the machine that applied it',
    details: { position, seen },
    outcome: 'notAppended',
  });
}

function isTrimmed(position: number, snapshot: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `the log begins behind position ${snapshot}, and the command was at ${position}`,
    because: 'a replica has applied it and made a snapshot since',
    next: 'start the failed replica again: it goes on from that snapshot',
    details: { firstAvailable: snapshot + 1, position },
    outcome: 'notAppended',
  });
}
