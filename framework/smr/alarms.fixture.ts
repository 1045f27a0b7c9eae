import type { ApplyContext, StateMachine } from './index.ts';

/** `again`: how often an alarm that rings sets itself anew. */
export type AlarmCommand =
  | { readonly op: 'set'; readonly ms: number; readonly again: number }
  | { readonly op: 'stop'; readonly nth: number }
  | { readonly op: 'ring'; readonly at: number; readonly ms: number; readonly again: number };

/** What an alarm clock was told, or did: with all that the context said of it. */
export type AlarmNote = {
  readonly position: number;
  readonly index: number;
  readonly time: number;
  readonly drawn: number;
  readonly timer: number | null;
} & (
  | {
      readonly op: 'set' | 'ring';
      readonly set: { readonly id: number; readonly at: number } | null;
    }
  | { readonly op: 'stop'; readonly stopped: number | null }
);

/** Sets and stops alarms, and notes what happens to it. */
export class Alarms implements StateMachine<AlarmCommand, number, AlarmNote[]> {
  notes: AlarmNote[] = [];

  apply(command: AlarmCommand, context: ApplyContext<AlarmCommand>): number {
    const { position, index, time, timer = null } = context;
    const place = { position, index, time, timer, drawn: context.random() };
    if (command.op === 'stop') {
      const ids = this.notes.flatMap((it) => (it.op !== 'stop' && it.set ? [it.set.id] : []));
      const id = ids[command.nth % Math.max(1, ids.length)];
      const stopped = id !== undefined && context.cancel(id) ? id : null;
      return this.notes.push({ ...place, op: 'stop', stopped });
    }
    const { op, ms, again } = command;
    if (op === 'ring' && again === 0) return this.notes.push({ ...place, op, set: null });
    const at = time + ms;
    const next = { op: 'ring', at, ms, again: op === 'ring' ? again - 1 : again } as const;
    const id = context.schedule(at, next);
    const set = id === undefined ? null : { id, at };
    return this.notes.push({ ...place, op, set });
  }

  /** How many alarms are set. */
  get pending(): number {
    let pending = 0;
    for (const it of this.notes) {
      if (it.timer !== null) pending--;
      if (it.op === 'stop') pending -= it.stopped === null ? 0 : 1;
      else pending += it.set === null ? 0 : 1;
    }
    return pending;
  }

  snapshot(): AlarmNote[] {
    return this.notes;
  }

  restore(notes: AlarmNote[]): void {
    this.notes = [...notes];
  }
}

/**
 * Checks what a replica noted against a model that knows nothing but the notes: each alarm rings once, not before its time,
 * the earliest first, and before anything else of its time or later. Returns what is wrong, and what has not rung yet.
 */
export function checkAlarms(notes: readonly AlarmNote[]): { problems: string[]; pending: number } {
  const problems: string[] = [];
  const pending = new Map<number, number>();
  const drawn = new Set<number>();
  let last: AlarmNote | undefined;
  for (const it of notes) {
    const { position, index, time, timer } = it;
    const where = `at ${position}:${index}`;
    if (last !== undefined) {
      const isAfter =
        position > last.position || (position === last.position && index > last.index);
      if (!isAfter) problems.push(`${where} comes behind ${last.position}:${last.index}`);
      if (time < last.time) problems.push(`${where} the time goes back`);
    }
    if (drawn.has(it.drawn)) problems.push(`${where} a number is drawn for the second time`);
    drawn.add(it.drawn);
    last = it;
    const due = [...pending].filter(([, at]) => at <= time);
    const first = due.sort(([a, atA], [b, atB]) => atA - atB || a - b)[0];
    if (timer === null && first !== undefined)
      problems.push(`${where} timer ${first[0]} is due at ${first[1]}, and it is ${time}`);
    if (timer !== null && first?.[0] !== timer)
      problems.push(`${where} timer ${timer} rings, and the next one is ${first}`);
    if (timer !== null) pending.delete(timer);
    if (it.op === 'stop') {
      if (it.stopped !== null && !pending.delete(it.stopped))
        problems.push(`${where} timer ${it.stopped} is stopped, and does not wait`);
    } else if (it.set !== null) {
      if (pending.has(it.set.id)) problems.push(`${where} there is another timer ${it.set.id}`);
      // What is due already waits for the next millisecond.
      pending.set(it.set.id, Math.max(it.set.at, time + 1));
    }
  }
  return { problems, pending: pending.size };
}
