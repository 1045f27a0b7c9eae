import { checkNames, type LogCallOptions, type OptionNames } from '../base/index.ts';
import type { Consistency } from './replica-options.ts';

const LIMITS: OptionNames<LogCallOptions> = { signal: true, timeoutMs: true };
const QUERY: OptionNames<LogCallOptions & { consistency?: Consistency }> = {
  consistency: true,
  ...LIMITS,
};
const CLOSE: OptionNames<LogCallOptions & { snapshot?: boolean }> = { snapshot: true, ...LIMITS };

const NAMES = {
  query: QUERY,
  caughtUp: LIMITS,
  upgradeTo: LIMITS,
  snapshot: LIMITS,
  close: CLOSE,
};

/** Throws `INVALID_ARGUMENT` for an option that this call of a replica does not have. */
export function checkCall(options: object, call: keyof typeof NAMES): void {
  checkNames(options, NAMES[call], call);
}
