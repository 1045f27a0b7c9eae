import type { OrderedLog } from '../base/index.ts';
import { EnvelopeReader } from './envelope.ts';

/** By writer, what the checks in a log after a position say of the state at `checked`, up to its tail now. */
export async function checksSaid(
  log: OrderedLog,
  tag: Uint8Array,
  { position, checked }: { position: number; checked: number },
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> {
  const said = new Map<number, string>();
  const tail = await log.tail({ signal });
  if (position >= tail) return said;
  const envelope = new EnvelopeReader(tag);
  for await (const it of log.follow(position + 1, { signal })) {
    for (const entry of it.kind === 'entries' ? it.entries : []) {
      if (!envelope.tryRead(entry.command, entry.position)) continue;
      if (envelope.kind === 'check' && envelope.checked === checked)
        said.set(envelope.writer, envelope.hash);
    }
    if ((it.kind === 'entries' ? it.through : it.position) >= tail) break;
  }
  return said;
}
