import fc from 'fast-check';
import { ByTopic } from './by-topic.ts';

test('what is of a topic is what is there of it, whatever was set, replaced and deleted', () => {
  const change = fc.record({
    id: fc.nat(5),
    topicId: fc.option(fc.nat(3), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const found = new ByTopic<{ topicId: number; id: number }>();
      for (const { id, topicId } of changes) {
        if (topicId === undefined) found.delete(id);
        else found.set(id, { topicId, id });
      }
      for (const topicId of [0, 1, 2, 3]) {
        const expected = [...found.values()].filter((it) => it.topicId === topicId);
        expect(new Set(found.ofTopic(topicId))).toEqual(new Set(expected));
      }
    }),
  );
});
