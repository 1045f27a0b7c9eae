import type { Message } from './core/index.ts';
import { ObservedDurability } from './observed-durability.ts';

const acknowledged = (term: number, index: number, rejected = false): Message => {
  const hint = { hintIndex: 0, hintTerm: 0 };
  return { type: 'appendResponse', from: 2, to: 1, term, index, rejected, ...hint };
};
const voted = (term: number, pre = false, granted = true): Message => {
  return { type: 'voteResponse', from: 2, to: 1, term, pre, granted };
};

describe('what a member promised', () => {
  test.each<[string, Message[], [term: number, last: number], boolean]>([
    ['nothing', [], [0, 0], true],
    ['an acknowledgement, and it has it', [acknowledged(2, 5)], [2, 5], true],
    ['an acknowledgement, and it has less', [acknowledged(2, 5)], [2, 4], false],
    ['an acknowledgement, and it is at an older term', [acknowledged(2, 5)], [1, 9], false],
    ['an acknowledgement, and a later leader cut it off', [acknowledged(2, 5)], [3, 1], true],
    ['more than once', [acknowledged(2, 5), acknowledged(2, 3)], [2, 4], false],
    ['in two terms', [acknowledged(2, 5), acknowledged(3, 1)], [3, 1], true],
    ['in a term that is over', [acknowledged(3, 1), acknowledged(2, 5)], [3, 1], true],
    ['a vote, and it is at an older term', [voted(2)], [1, 0], false],
    ['a vote, and it is at that term', [voted(2)], [2, 0], true],
    ['a pre-vote: that is no promise', [voted(2, true)], [1, 0], true],
    ['a refused vote: that is no promise', [voted(2, false, false)], [1, 0], true],
    ['a rejection: that is no promise', [acknowledged(2, 5, true)], [1, 0], true],
  ])('%s', (_, messages, [term, last], kept) => {
    const durability = new ObservedDurability();
    for (const message of messages) durability.observe(message);
    expect(durability.isConsistentWith(2, term, last)).toBe(kept);
    expect(durability.isConsistentWith(3, 0, 0)).toBe(true);
  });
});
