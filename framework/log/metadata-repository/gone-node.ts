import { callOnce, type Ports, sleep, VarlogError } from '../../base/index.ts';
import { MembersRequest, Ordering } from '../../wire/gen/log.ts';
import { LOG_TIMES } from '../timing.ts';

/** A process that is about to end may still answer. */
const ASK_AGAIN_MS = 50;

/**
 * Whether the process at `address` is gone: nobody listens there, as the machine says at once. Asks for as long as the
 * process `isMissed`. One that answers, whatever it is, or does not answer, may be back soon.
 */
export async function isGone(
  { clock, network }: Pick<Ports, 'clock' | 'network'>,
  address: string,
  isMissed: () => boolean,
): Promise<boolean> {
  while (isMissed()) {
    try {
      const limits = { timeoutMs: LOG_TIMES.nodeLostAfterMs };
      await callOnce(network, address, Ordering.Members, MembersRequest.create({}), limits);
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      if (error.code === 'UNREACHABLE') return true;
    }
    await sleep(clock, ASK_AGAIN_MS);
  }
  return false;
}
