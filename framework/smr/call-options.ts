import { checkNames, LIMIT_NAMES, type LogCallOptions, type OptionNames } from '../base/index.ts';
import type { Consistency } from './replica-options.ts';

const QUERY: OptionNames<LogCallOptions & { consistency?: Consistency }> = {
  consistency: true,
  ...LIMIT_NAMES,
};
const CLOSE: OptionNames<LogCallOptions & { snapshot?: boolean }> = {
  snapshot: true,
  ...LIMIT_NAMES,
};

const NAMES = {
  query: QUERY,
  caughtUp: LIMIT_NAMES,
  upgradeTo: LIMIT_NAMES,
  snapshot: LIMIT_NAMES,
  close: CLOSE,
};

/** Throws `INVALID_ARGUMENT` for an option that this call of a replica does not have. */
export function checkCall(options: object, call: keyof typeof NAMES): void {
  checkNames(options, NAMES[call], call);
}
