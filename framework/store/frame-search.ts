import { VarlogError } from '../base/index.ts';
import { type Frame, frameEnd } from './frame.ts';

/** What is searched: a log, whose head may be dropped meanwhile. */
interface Searched {
  readonly first: number;
  /** The first position of each file, ascending. */
  readonly starts: readonly number[];
  read(from: number, bytesMax: number): Frame[] | Promise<Frame[]>;
}

/**
 * The first frame, of those up to position `through`, for which `reached` holds; it must hold for all that follow.
 * `undefined` when there is none. What is asked first is the beginning of files, which lies at a known place; only in one
 * of them is anything looked for, so that one file is walked at the most, and that once: what a walk comes by is
 * remembered, one place for every 64 KiB. Rejects as `read` does; a head that is dropped meanwhile is passed over.
 */
export async function findFrame(
  log: Searched,
  through: number,
  reached: (frame: Frame) => boolean,
): Promise<Frame | undefined> {
  for (;;) {
    const { first } = log;
    try {
      return await search(log, through, reached);
    } catch (error) {
      if (!VarlogError.is(error, 'TRIMMED') || log.first === first) throw error;
    }
  }
}

async function search(
  log: Searched,
  through: number,
  reached: (frame: Frame) => boolean,
): Promise<Frame | undefined> {
  let low = log.first;
  let high = through + 1;
  let found: Frame | undefined;
  const probe = async (position: number): Promise<void> => {
    const [frame] = await log.read(position, 1);
    if (frame === undefined) {
      high = Math.min(high, position);
    } else if (reached(frame)) {
      found = frame;
      high = Math.min(position, frame.position);
    } else {
      low = frameEnd(frame) + 1;
    }
  };
  let starts = log.starts.filter((it) => it > low && it < high);
  while (starts.length > 0) {
    const middle = starts.length >>> 1;
    await probe(starts[middle]!);
    starts = starts.filter((it) => it > low && it < high);
  }
  while (low < high) await probe(Math.floor((low + high) / 2));
  return found;
}
