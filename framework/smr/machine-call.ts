import {
  checkLimits,
  type LogCallOptions,
  type OrderedLog,
  type OrderedLogSource,
} from '../base/index.ts';
import { checkedName, tagOf } from './log-identity.ts';

/** For each call of the log where the caller names no limit. */
const CALL_MS = 30_000;

/** What somebody needs who has to do with a machine from outside, by its name and its log. */
export interface MachineCall {
  readonly log: OrderedLog;
  readonly machine: string;
  /** What all that is written for the machine begins with. */
  readonly tag: Uint8Array;
  /** For each call of the log. */
  readonly call: LogCallOptions;
}

/** Rejects with `INVALID_ARGUMENT`, and with errors of the log. The machine is called `machine` unless it has another name. */
export async function machineCall(
  source: OrderedLog | OrderedLogSource,
  name: string | undefined,
  limits: LogCallOptions,
): Promise<MachineCall> {
  checkLimits(limits);
  const log = 'asOrderedLog' in source ? source.asOrderedLog() : source;
  const call = { timeoutMs: CALL_MS, ...limits };
  const machine = checkedName(name ?? 'machine');
  return { log, machine, tag: tagOf({ log: await log.identity(call), machine }), call };
}
