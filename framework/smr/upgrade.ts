import {
  checkNames,
  LIMIT_NAMES,
  type LogCallOptions,
  type OrderedLog,
  type OrderedLogSource,
  VarlogError,
} from '../base/index.ts';
import { encodeUpgrade } from './envelope.ts';
import { machineCall } from './machine-call.ts';
import { checkVersion } from './rules.ts';

const NAMES = { name: true, ...LIMIT_NAMES };

/**
 * Has all replicas of a machine apply what follows by this version of its rules: what `replica.upgradeTo` does, from
 * outside. Nobody is asked whether the replicas know the version: those whose code does not will stop at the entry until
 * they are started with newer code. So upgrade them first. Where no code knows it, `skipCommand` with the position that is
 * returned takes it back. Rules are never lowered: where higher ones are in force, nothing changes; and the name is not checked, because
 * an upgrade may come before the first command: `isMachineInLog` tells whether anybody goes by it.
 *
 * Rejects with `INVALID_ARGUMENT`, and with errors of the log; a repetition is harmless.
 *
 * @param options.name of the machine, as its replicas have it. Default: `machine`.
 * @returns position of the entry.
 */
export async function upgradeRules(
  source: OrderedLog | OrderedLogSource,
  rules: number,
  options: LogCallOptions & { name?: string } = {},
): Promise<number> {
  checkVersion(rules);
  const { name, ...given } = options;
  checkNames(options, NAMES, 'upgradeRules');
  const { log, tag, call } = await machineCall(source, name, given);
  return log.append([encodeUpgrade(tag, rules)], call);
}

export function notRaisedInTime(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the rules were not raised within ${timeoutMs} ms`,
    next: 'see whether the log has a quorum, and call it again',
    outcome: 'unknown',
  });
}

export function notRaised(rules: number, position: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the upgrade to rules ${rules} at position ${position} was passed over`,
    because: 'an operator ordered it, because some replica could not go on',
    next: 'start all replicas with code that knows them, and call it again',
  });
}
