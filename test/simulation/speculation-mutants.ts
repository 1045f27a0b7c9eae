import type { CommandOutcome } from '../../framework/smr/command-outcome.ts';
import { CommandQueue } from '../../framework/smr/command-queue.ts';
import type { AppliedCommand } from '../../framework/smr/log-context.ts';
import type { MachineState } from '../../framework/smr/machine-state.ts';
import { MemoryApplier } from '../../framework/smr/memory-applier.ts';
import { Speculator } from '../../framework/smr/speculator.ts';
import { TentativeMachine } from '../../framework/smr/tentative-machine.ts';
import { TentativeTimers } from '../../framework/smr/tentative-timers.ts';
import type { TimerTable } from '../../framework/smr/timer-table.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';
import { Accounts } from './speculation-machine.ts';

/** As much of a speculator, and of a fork, as the defects change. */
interface OpenSpeculator {
  readonly parts: { readonly queue: CommandQueue<unknown, unknown> };
  fork: { rules: number } | undefined;
  drop(): void;
  caughtUp(): unknown;
  applied(applied: AppliedCommand, session: number, sequence: number): void;
  endOf(guess: CommandOutcome, error: unknown, outcome?: CommandOutcome): { kind: string };
  tell(...args: unknown[]): void;
}
interface OpenFork {
  isBehind(sequence: number, place: object, outcome: CommandOutcome): boolean;
  readonly guesses: { get(sequence: number): { place: object; outcome: CommandOutcome } };
}

interface OpenApplier {
  readonly state: MachineState;
  replace(isInPieces: boolean, pieces: AsyncIterable<Uint8Array>): Promise<void>;
}

const applier = MemoryApplier.prototype as unknown as OpenApplier;
const speculator = Speculator.prototype as unknown as OpenSpeculator;
const fork = TentativeMachine.prototype as unknown as OpenFork;
const { applied, caughtUp, endOf, tell } = speculator;
const { isBehind } = fork;

/** Ways to speculate wrongly, each for everybody until what it returns is called. */
export const SPECULATION_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'a fork shares the state of its machine': () =>
    replace(Accounts.prototype, 'fork', function (this: Accounts) {
      return Object.assign(new Accounts(), this);
    }),
  'a fork outlives the command of somebody else': () =>
    replace(speculator, 'applied', function (this: OpenSpeculator, it, session, sequence) {
      if (this.parts.queue.find(session, sequence)) applied.call(this, it, session, sequence);
    }),
  'a fork outlives a wrong guess of the place': () =>
    replace(fork, 'isBehind', function (this: OpenFork, sequence, place, outcome) {
      const guess = sequence === undefined ? undefined : this.guesses.get(sequence);
      return isBehind.call(this, sequence, guess?.place ?? place, outcome);
    }),
  'a fork outlives new rules': () =>
    replace(speculator, 'caughtUp', function (this: OpenSpeculator) {
      const { admission } = this.parts as unknown as { admission: { rules: { inForce: number } } };
      if (this.fork !== undefined) this.fork.rules = admission.rules.inForce;
      return caughtUp.call(this);
    }),
  'a fork outlives what was given up': () => replace(CommandQueue.prototype, 'watch', () => {}),
  'a fork outlives a snapshot that its replica goes on from': () =>
    replace(applier, 'replace', function (this: OpenApplier, isInPieces, pieces) {
      return this.state.restore(isInPieces, pieces);
    }),
  'a fork has timers that fire': () =>
    replace(
      TentativeTimers.prototype,
      'schedule',
      function (this: TentativeTimers, at: number, command: Uint8Array) {
        return (this as unknown as { timers: TimerTable }).timers.schedule(at, command);
      },
    ),
  'a fork calls off timers': () =>
    replace(TentativeTimers.prototype, 'cancel', function (this: TentativeTimers, id: number) {
      return (this as unknown as { timers: TimerTable }).timers.cancel(id);
    }),
  'whatever comes is confirmed': () =>
    replace(speculator, 'endOf', function (this: OpenSpeculator, guess, error, outcome) {
      const event = endOf.call(this, guess, error, outcome);
      return event.kind === 'failed' ? event : { ...event, kind: 'confirmed' };
    }),
  'an end is told twice': () =>
    replace(speculator, 'tell', function (this: OpenSpeculator, ...args) {
      tell.apply(this, args);
      tell.apply(this, args);
    }),
};
