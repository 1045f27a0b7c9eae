import { assert, formatUnknown, VarlogError } from '../../base/index.ts';
import type { Configuration } from './configuration.ts';
import type { EntryBatch } from './entry-batch.ts';

/** No record is that long: a batch of commands never begins like this. */
const MARK = 0xffffffff;
const MARK_BYTES = 4;

/** The payload of an entry that holds a configuration instead of a command. */
export function encodeConfiguration({
  identity,
  voters,
  outgoing,
  learners,
  addresses,
  incarnations,
  retired,
}: Configuration): Uint8Array {
  const known = { addresses: [...addresses], incarnations: [...incarnations] };
  const json = JSON.stringify({ identity, voters, outgoing, learners, retired, ...known });
  const text = new TextEncoder().encode(json);
  const payload = new Uint8Array(MARK_BYTES + text.length);
  new DataView(payload.buffer).setUint32(0, MARK);
  payload.set(text, MARK_BYTES);
  return payload;
}

/**
 * What {@link encodeConfiguration} made. Throws `FORMAT_UNKNOWN` for a configuration of a later version, which has a
 * property `format`, and `CORRUPT` for anything else.
 */
export function decodeConfiguration(payload: Uint8Array): Configuration {
  try {
    assert(isConfigurationPayload(payload), 'the payload holds a configuration');
    const found = JSON.parse(new TextDecoder().decode(payload.subarray(MARK_BYTES)));
    if (found.format !== undefined) {
      const [format, reads] = [`format ${JSON.stringify(found.format)}`, 'those without a format'];
      throw formatUnknown({ what: 'a configuration of a Raft group', found: format, reads });
    }
    assert(typeof found.identity === 'string', 'a configuration names its group');
    const addresses = new Map(found.addresses);
    const incarnations = new Map(found.incarnations);
    return { ...found, addresses, incarnations } as Configuration;
  } catch (cause) {
    if (VarlogError.is(cause, 'FORMAT_UNKNOWN')) throw cause;
    throw new VarlogError('CORRUPT', { what: 'an entry does not hold a configuration', cause });
  }
}

/** Whether a batch is one entry that changes who belongs to the group. */
export function isConfigurationEntry({ count, payload }: EntryBatch): boolean {
  return count === 1 && isConfigurationPayload(payload);
}

function isConfigurationPayload(payload: Uint8Array): boolean {
  if (payload.length < MARK_BYTES) return false;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0) === MARK;
}
