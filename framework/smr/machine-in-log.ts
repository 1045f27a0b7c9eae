import {
  checkNames,
  LIMIT_NAMES,
  type LogCallOptions,
  type OrderedLog,
  type OrderedLogSource,
  VarlogError,
} from '../base/index.ts';
import { EnvelopeReader } from './envelope.ts';
import { machineCall } from './machine-call.ts';
import { entriesOf } from './replayed-machine.ts';

const NAMES = { name: true, ...LIMIT_NAMES };

/**
 * Whether anything that is still in a log was written for the machine of a name. It reads the log up to the first such entry, so
 * to its tail where there is none. `false` does not mean that there is no such machine: it may not have written yet, or
 * what it wrote was trimmed.
 *
 * Rejects with `INVALID_ARGUMENT`, and with errors of the log.
 *
 * @param options.name of the machine, as its replicas have it. Default: `machine`.
 * @param options.timeoutMs for each question to the log; reading it takes as long as it takes, until `signal` is aborted.
 */
export async function isMachineInLog(
  source: OrderedLog | OrderedLogSource,
  options: LogCallOptions & { name?: string } = {},
): Promise<boolean> {
  const { name, ...given } = options;
  checkNames(options, NAMES, 'isMachineInLog');
  const { log, tag, call } = await machineCall(source, name, given);
  const envelope = new EnvelopeReader(tag);
  const tail = await log.tail(call);
  let after = 0;
  for (;;) {
    try {
      for await (const it of entriesOf(log, after, tail, given.signal)) {
        if (it.kind === 'entries' && it.entries.some((entry) => envelope.isOwn(entry.command)))
          return true;
      }
      return false;
    } catch (error) {
      if (!VarlogError.is(error, 'TRIMMED')) throw error;
      const first = error.details['firstAvailable'];
      // What is gone cannot be looked at; the rest can. A log that says nothing new would be asked for ever.
      if (typeof first !== 'number' || first <= after + 1) throw error;
      after = first - 1;
    }
  }
}
