import { defect } from './defect.ts';
import { differenceOf, type Outcomes, outcomeDifference } from './difference.ts';
import type { Step, StepOutcome } from './step.ts';

/** A command that took effect, as the first replica that applied it saw it. */
export interface AppliedStep extends Step, StepOutcome {
  readonly number: number;
  readonly replica: string;
}

/** What one client asked, and what it was told. Times are virtual milliseconds, of one clock. */
interface Call {
  readonly calledMs: number;
}

export interface CommandCall extends Call {
  readonly number: number;
  /** Infinity until it was answered. */
  returnedMs: number;
  /** `refused`: it certainly takes no effect. `unknown`: nobody will tell. */
  state: 'open' | 'answered' | 'refused' | 'unknown';
  /** The answer, encoded. */
  result?: Uint8Array;
}

/** One that was answered. */
export interface QueryCall extends Call {
  readonly replica: string;
  /** What the machine that answered had applied. */
  readonly position: number;
}

/** What clients were told. */
interface Told {
  readonly commands: readonly CommandCall[];
  readonly queries: readonly QueryCall[];
}

/**
 * What took effect at which position, and whether it goes with what clients were told.
 *
 * All replicas must come to the same at the same position. Calls must be linearizable (Herlihy and Wing 1990): the
 * order of the log is the one that has to explain them, and it is known, so none has to be searched for. The machine
 * is the sequential specification: see `Rehearsal`.
 */
export class AppliedHistory {
  private readonly codecs: Outcomes;
  /** By ascending place: who applies one has applied all before, or has a snapshot of somebody who had. */
  private readonly byPlace = new Map<string, AppliedStep>();
  private newest: AppliedStep | undefined;

  constructor(codecs: Outcomes) {
    this.codecs = codecs;
  }

  get steps(): AppliedStep[] {
    return [...this.byPlace.values()];
  }

  /** A replica has applied a command. Throws `MACHINE_DEFECT` where another one came to something else with it. */
  apply(step: AppliedStep): void {
    const place = `${step.position}:${step.index}`;
    const first = this.byPlace.get(place);
    if (first === undefined) {
      this.newest = step;
      this.byPlace.set(place, step);
      return;
    }
    const places = [`at replica ${first.replica}`, `at replica ${step.replica}`] as const;
    const found = outcomeDifference(this.codecs, first, step, places);
    if (found !== undefined) throw diverged(step.position, found);
  }

  /** A replica went on from a snapshot of `position`. Throws `MACHINE_DEFECT` where others had another state there. */
  restore(replica: string, position: number, state: Uint8Array): void {
    const first = this.stepAt(position);
    if (first === undefined) return;
    const found = differenceOf(
      'state',
      this.codecs.state,
      { at: `at replica ${first.replica}`, bytes: first.state },
      { at: `at replica ${replica}, which was restored from a snapshot`, bytes: state },
    );
    if (found !== undefined) throw diverged(position, found);
  }

  /** Throws `MACHINE_DEFECT` where what clients were told is not what took effect. */
  check({ commands, queries }: Told): void {
    const places = new Map<number, AppliedStep>();
    for (const step of this.byPlace.values()) {
      const before = step.number === 0 ? undefined : places.get(step.number);
      if (before !== undefined) {
        const where = `at positions ${before.position} and ${step.position}`;
        throw lost(step.position, `command #${step.number} took effect twice, ${where}`);
      }
      places.set(step.number, step);
    }
    for (const call of commands) this.checkAnswer(call, places.get(call.number));
    checkOrder({ commands, queries }, places);
  }

  /** The last step at or before a position. */
  private stepAt(position: number): AppliedStep | undefined {
    const { newest } = this;
    if (newest === undefined || newest.position <= position) return newest;
    return this.steps.findLast((it) => it.position <= position);
  }

  private checkAnswer(call: CommandCall, step: AppliedStep | undefined): void {
    const { number, state } = call;
    if (state === 'refused' && step !== undefined) {
      throw lost(step.position, `command #${number} was refused for certain, and took effect`);
    }
    if (state !== 'answered') return;
    if (step === undefined) throw lost(0, `command #${number} was acknowledged, and is lost`);
    const told = { at: 'as its caller was told', bytes: call.result! };
    const made = { at: 'in the log', bytes: step.result };
    const found = differenceOf('result', this.codecs.result, told, made);
    if (found !== undefined) throw lost(step.position, `of command #${number}, ${found}`);
  }
}

/** What began after something else had ended must come after it, and see it. */
function checkOrder({ commands, queries }: Told, places: ReadonlyMap<number, AppliedStep>): void {
  const ended = commands
    .filter((it) => it.state === 'answered')
    .map((call) => ({ ...call, position: places.get(call.number)!.position }))
    .sort((a, b) => a.returnedMs - b.returnedMs);
  const begun = [
    ...ended.map((it) => ({ ...it, what: `command #${it.number}` })),
    ...queries.map((it) => ({ ...it, what: `a query at replica ${it.replica}` })),
  ].sort((a, b) => a.calledMs - b.calledMs);
  let next = 0;
  let furthest: (typeof ended)[number] | undefined;
  for (const { what, calledMs, position } of begun) {
    for (; ended[next] !== undefined && ended[next]!.returnedMs < calledMs; next++) {
      if (ended[next]!.position > (furthest?.position ?? 0)) furthest = ended[next];
    }
    if (furthest === undefined || position >= furthest.position) continue;
    const before = `command #${furthest.number}, which had been acknowledged at position ${furthest.position}`;
    throw lost(position, `${what} came to position ${position}, and did not see ${before}`);
  }
}

function diverged(position: number, found: string): Error {
  return defect('nondeterministic', position, {
    what: `replicas differ at position ${position}: ${found}`,
    because: 'the machine is not deterministic, or its snapshot is not its whole state',
  });
}

export function lost(position: number, what: string): Error {
  return defect('lost', position, {
    what,
    because: 'the log or the replicas break what they promise',
  });
}
