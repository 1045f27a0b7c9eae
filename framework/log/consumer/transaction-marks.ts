import type { Checkpoint } from './checkpoint-store.ts';

/** What a store that works in transactions knows of records: a value, to be kept beside what handlers write. */
export interface TransactionMarks extends Required<Checkpoint> {
  /** Put aside, ascending: these are not done, wherever the position is. */
  readonly parked: readonly number[];
}

/** Whether a record was done. */
export function isDone({ position, done, parked }: TransactionMarks, glsn: number): boolean {
  return !parked.includes(glsn) && (glsn <= position || done.includes(glsn));
}

/** The record is done: the position moves up to the first one that is not. */
export function withDone(marks: TransactionMarks, glsn: number): TransactionMarks {
  const passed = pass(marks, glsn);
  return { ...passed, parked: passed.parked.filter((it) => it !== glsn) };
}

/** The record is put aside, unless it is done. */
export function withParked(marks: TransactionMarks, glsn: number): TransactionMarks {
  if (isDone(marks, glsn) || marks.parked.includes(glsn)) return marks;
  const passed = pass(marks, glsn);
  return { ...passed, parked: [...passed.parked, glsn].sort((a, b) => a - b) };
}

/** Positions are dense, so what is done says alone how far the position goes. */
function pass({ position, done, parked }: TransactionMarks, glsn: number): TransactionMarks {
  const beyond = new Set(glsn > position ? [...done, glsn] : done);
  let through = position;
  while (beyond.delete(through + 1)) through++;
  return { position: through, done: [...beyond].sort((a, b) => a - b), parked };
}
