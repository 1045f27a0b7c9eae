import type { Random } from '../../framework/base/index.ts';

/** When small writes of a storage node go to its write-ahead log first, and how soon that is full. */
export function drawWriteAhead(random: Random): { togetherMin: number; fileBytes: number } {
  return {
    togetherMin: [1, 2, 4][random.below(3)]!,
    fileBytes: [4 * 1024, 32 * 1024, 1024 * 1024][random.below(3)]!,
  };
}
