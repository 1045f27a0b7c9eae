import { VarlogError } from '../../base/index.ts';
import type { StateMachine } from '../../smr/index.ts';
import type { MachineSource } from './machine-source.ts';
import { type SimulateOptions, simulate } from './simulate.ts';

/** What {@link varlogMatchers} add to `expect`: extend the types of the test runner with it. */
export interface VarlogMatchers {
  /** As {@link simulate} with the class or function that `expect` is given. To be awaited. */
  toSurvive<Command, Result, Snapshot, Machine>(
    options: SimulateOptions<Command, Result, Snapshot, Machine>,
  ): Promise<void>;
}

/**
 * Matchers for `expect.extend` of Jest and Vitest.
 *
 * ```ts
 * import { type VarlogMatchers, varlogMatchers } from 'varlog/testing';
 *
 * expect.extend(varlogMatchers);
 * declare global {
 *   namespace jest {
 *     interface Matchers<R> extends VarlogMatchers {}
 *   }
 * }
 *
 * test('counter', () => expect(Counter).toSurvive({ workload: () => ({ add: 1 }) }), 60_000);
 * ```
 *
 * With Vitest the types are `declare module 'vitest' { interface Matchers<T = any> extends VarlogMatchers {} }`.
 */
export const varlogMatchers = {
  async toSurvive<Command, Result, Snapshot, Machine>(
    received: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
    options: SimulateOptions<Command, Result, Snapshot, Machine>,
  ): Promise<{ pass: boolean; message(): string }> {
    try {
      const { seeds, faults } = await simulate(received, options);
      const message = `${received.name} survives ${seeds} seeds with ${faults} faults, and was expected not to`;
      return { pass: true, message: () => message };
    } catch (error) {
      if (!VarlogError.is(error, 'MACHINE_DEFECT')) throw error;
      return { pass: false, message: () => error.message };
    }
  },
};
