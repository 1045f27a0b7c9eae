import fc from 'fast-check';
import { isDone, type TransactionMarks, withDone, withParked } from './index.ts';

const glsn = fc.integer({ min: 1, max: 12 });
const step = fc.record({ glsn, park: fc.boolean() });

test('the position is before the first record that is neither done nor parked, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let marks: TransactionMarks = { position: 0, done: [], parked: [] };
      const done = new Set<number>();
      const parked = new Set<number>();
      for (const it of steps) {
        if (it.park) {
          marks = withParked(marks, it.glsn);
          if (!done.has(it.glsn)) parked.add(it.glsn);
        } else {
          marks = withDone(marks, it.glsn);
          done.add(it.glsn);
          parked.delete(it.glsn);
        }
        let position = 0;
        while (done.has(position + 1) || parked.has(position + 1)) position++;
        expect(marks.position).toBe(position);
        expect([...marks.parked]).toEqual([...parked].sort((a, b) => a - b));
        for (let i = 1; i <= 12; i++) expect(isDone(marks, i)).toBe(done.has(i));
      }
    }),
  );
});
