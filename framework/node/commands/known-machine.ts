import { type Topic, VarlogError } from '../../log/index.ts';
import { isMachineInLog } from '../../smr/index.ts';

/** Who holds records for a machine: its name, and the place of its state. */
const MACHINE = /^machine (.+) \S+$/s;

/**
 * Rejects with `NOT_FOUND`, and the names that are known, where nothing of a machine of this name is in a topic: one that
 * was mistyped must not look like one with which something was done. `orElse`: what else there is to do, in words.
 */
export async function checkMachine(
  topic: Topic,
  name: string,
  { signal, orElse = '' }: { readonly signal: AbortSignal; readonly orElse?: string },
): Promise<void> {
  const { holds } = await topic.describe({ signal });
  const holding = new Set(holds.flatMap(({ holder }) => MACHINE.exec(holder)?.[1] ?? []));
  if (holding.has(name) || (await isMachineInLog(topic, { name, signal }))) return;
  const names = [...holding].map((it) => `"${it}"`).join(', ');
  throw new VarlogError('NOT_FOUND', {
    what: `topic ${topic.id} has nothing of a state machine "${name}"`,
    because:
      names === ''
        ? 'no replica has written or kept anything in it under that name'
        : `those that keep records of it are ${names}`,
    next: `give the name that its replicas were started with${orElse}`,
    outcome: 'notAppended',
  });
}
