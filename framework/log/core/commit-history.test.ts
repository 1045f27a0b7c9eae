import fc from 'fast-check';
import { type Commit, CommitHistory } from './index.ts';

/** What a history is to do, kept in a list. */
class Model {
  commits: Commit[] = [];
  private next: Commit = { logStreamId: 7, epoch: 0, version: 1, llsn: 1, glsn: 1, count: 0 };

  grow(by: { gap: number; epochs: number; count: number }): Commit {
    const { version, llsn, glsn, count, epoch } = this.next;
    const commit: Commit = {
      logStreamId: 7,
      epoch: epoch + by.epochs,
      version,
      llsn: llsn + count,
      glsn: glsn + count + by.gap,
      count: by.count,
    };
    this.next = { ...commit, version: version + 1 };
    this.commits.push(commit);
    return commit;
  }
}

const growth = fc.record({
  gap: fc.oneof(fc.nat(3), fc.constant(2 ** 40)),
  epochs: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(3)),
  count: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(2 ** 35)),
});

test('a packed history is the list of its commits, also after it was forgotten or restored in part', () => {
  const step = fc.oneof(
    fc.array(growth, { maxLength: 300 }).map((grown) => ({ grown })),
    fc.nat(400).map((forget) => ({ forget })),
    fc.constant({ restore: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.nat(900), fc.nat(300), (steps, at, limit) => {
      let history = new CommitHistory(7);
      const model = new Model();
      for (const it of steps) {
        if ('grown' in it) for (const by of it.grown) history.push(model.grow(by));
        if ('forget' in it) {
          history.forget(it.forget);
          model.commits = model.commits.filter(({ version }) => version > it.forget);
        }
        if ('restore' in it) history = CommitHistory.restore(7, history.snapshot());
        expect(history.from(0)).toEqual(model.commits);
        expect(history.length).toBe(model.commits.length);
        expect(history.last).toEqual(model.commits.at(-1));
        expect(history.from(at, limit)).toEqual(
          model.commits.filter(({ version }) => version >= at).slice(0, limit),
        );
      }
    }),
    { numRuns: 60 },
  );
});
