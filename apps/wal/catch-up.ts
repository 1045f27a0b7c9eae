import { type Entry, VarlogError } from 'varlog/log';
import type { LocalState } from './local-state.ts';
import type { WalRecord } from './wal-topic.ts';

/**
 * Applies what `open` gives from where the state is on. Where the records after it are trimmed, also while they are read, it
 * goes on at the first one left: the checkpoint they were trimmed behind. Rejects with `TRIMMED` where that is none.
 */
export async function catchUp(
  state: LocalState,
  open: (from: 'start' | number) => AsyncIterable<Entry<WalRecord>>,
): Promise<void> {
  let isTrimmed = state.position === 0;
  for (;;) {
    const before = state.position;
    try {
      await applyAll(state, isTrimmed ? fromCheckpoint(open('start')) : open(before + 1));
      return;
    } catch (error) {
      if (!VarlogError.is(error, 'TRIMMED')) throw error;
      // What was tried from the first record left, and got nowhere, would get nowhere again.
      if (isTrimmed && state.position === before) throw error;
      isTrimmed = true;
    }
  }
}

async function applyAll(
  state: LocalState,
  entries: AsyncIterable<Entry<WalRecord>>,
): Promise<void> {
  for await (const { value, glsn } of entries) await state.apply(value, glsn);
}

async function* fromCheckpoint(
  entries: AsyncIterable<Entry<WalRecord>>,
): AsyncGenerator<Entry<WalRecord>> {
  let isFirst = true;
  for await (const entry of entries) {
    if (isFirst && entry.glsn > 1 && entry.value.op !== 'checkpoint') {
      throw new VarlogError('TRIMMED', {
        what: `the records before ${entry.glsn} are gone, and that one is no checkpoint`,
        because: 'the topic was trimmed by somebody else, or keeps its records for a time only',
        next: 'start where there is a folder that was further, and make a checkpoint there',
      });
    }
    isFirst = false;
    yield entry;
  }
}
