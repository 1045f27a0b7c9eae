import { VarlogError } from '../../base/index.ts';
import { inPieces, type Pieces } from '../../smr/index.ts';
import { LiveWordCounts, WordCounts, type WordPiece } from '../../smr/word-counts.fixture.ts';
import type { SeededRandom } from '../simulator/random.ts';
import { strictMachine } from '../strict-machine.ts';
import { given } from './given.ts';
import { checkReplay, checkSnapshots } from './replay.ts';
import { simulate } from './simulate.ts';

/** Machines that hand their state over in pieces. */

const WORDS = ['a', 'b', 'c', '-a', '-b', '-c'];
const workload = (random: SeededRandom): string => random.pick(WORDS);
const commands = ['a', 'b', 'a', 'c', '-b', 'a'];

class WithoutB extends WordCounts {
  protected override *pieces(): Generator<WordPiece> {
    const view = this.words.snapshot();
    yield { total: this.total };
    for (const piece of view) if (piece[0] !== 'b') yield piece;
  }
}

class KeepsOld extends WordCounts {
  override async restore(pieces: Pieces<WordPiece>): Promise<void> {
    for await (const piece of pieces) {
      if ('total' in piece) this.total = piece.total;
      else this.words.set(...piece);
    }
  }
}

/** In the end it has the whole state, but none while it reads. */
class InPlace extends WordCounts {
  override async restore(pieces: Pieces<WordPiece>): Promise<void> {
    this.words.clear();
    for await (const piece of pieces) {
      if ('total' in piece) this.total = piece.total;
      else this.words.set(...piece);
    }
  }
}

class Impatient extends WordCounts {
  override async restore(pieces: Pieces<WordPiece>): Promise<void> {
    void super.restore(pieces).catch(() => {});
  }
}

class Swallows extends WordCounts {
  override async restore(pieces: Pieces<WordPiece>): Promise<void> {
    await super.restore(pieces).catch(() => {});
  }
}

/** Gives out what it goes on changing. */
class ChangesPieces extends WordCounts {
  private readonly list: [string, number][] = [];
  override apply(word: string): number {
    const [of = undefined] = this.list.filter(([it]) => it === word);
    if (of === undefined) this.list.push([word, 1]);
    else of[1]++;
    return this.list.length;
  }
  override snapshot(): Pieces<WordPiece> {
    return inPieces([...this.list]);
  }
  override async restore(pieces: Pieces<WordPiece>): Promise<void> {
    const list: [string, number][] = [];
    for await (const piece of pieces) list.push([...(piece as [string, number])]);
    this.list.splice(0, Number.POSITIVE_INFINITY, ...list);
  }
}

class Endless extends WordCounts {
  override async restore(): Promise<void> {
    await new Promise(() => {});
  }
}

const DEFECTS: Record<string, [kind: string, machine: new () => WordCounts, says: RegExp]> = {
  'pieces that leave something out': ['snapshot', WithoutB, /restored from the snapshot/],
  'a restore that keeps what was before': [
    'snapshot',
    KeepsOld,
    /`restore` does not replace everything|changed the machine/,
  ],
  'a restore that replaces before it has read all': [
    'snapshot',
    InPlace,
    /could not read all pieces of the snapshot of position \d+ changed the machine: state/,
  ],
  'a restore that is done too early': ['snapshot', Impatient, /before it had read all pieces/],
  'a restore that keeps to itself what it could not read': [
    'snapshot',
    Swallows,
    /before it had read all pieces/,
  ],
  'pieces as they are when they are read': [
    'snapshot',
    LiveWordCounts,
    /pieces of the snapshot of position \d+, read later, are of another state: state\[\d\]/,
  ],
  'pieces that go on changing': ['snapshot', ChangesPieces, /read later, are of another state/],
  'a restore without an end': ['stuck', Endless, /restore.* does not come to an end|replicas/],
};

test('a machine that hands its state over in pieces survives everything', async () => {
  const report = await simulate(WordCounts, {
    seeds: 10,
    workload,
    invariant: (it) => it.total >= 0,
  });
  expect(report).toMatchObject({ seeds: 10, commands: 200 });
  expect(await simulate(WordCounts, { seeds: 10, workload })).toEqual(report);
});

test.each(Object.entries(DEFECTS))('%s: found by simulate', async (_, [kind, machine, says]) => {
  const failure = await simulate(machine, { seeds: 30, workload }).then(
    () => undefined,
    (it: unknown) => it,
  );
  if (!VarlogError.is(failure, 'MACHINE_DEFECT')) throw new Error(`it was not found: ${failure}`);
  expect(failure.details).toMatchObject({ kind });
  expect(failure.message).toMatch(says);
});

test.each(Object.entries(DEFECTS).filter(([, [kind]]) => kind === 'snapshot'))(
  '%s: found by checkSnapshots',
  async (_, [, machine, says]) => {
    await expect(checkSnapshots(machine, commands)).rejects.toThrow(says);
  },
);

test('the other checks take such machines, and show their state as a list', async () => {
  await checkSnapshots(WordCounts, commands);
  checkReplay(WordCounts, commands);
  given(new WordCounts(), ['b', 'a', 'b'])
    .when('b')
    .then(3)
    .thenState([{ total: 4 }, ['a', 1], ['b', 3]]);
  expect(() => given(new WordCounts(), ['b']).thenState([{ total: 2 }])).toThrow(
    /state\[0\]\.total is 1, and 2 was expected/,
  );
});

test('a strict machine in pieces survives everything, and one that differs is found', async () => {
  await simulate(() => strictMachine(() => new WordCounts()), { seeds: 5, workload });
  let made = 0;
  class Odd extends WordCounts {
    private readonly number = made++;
    protected override *pieces(): Generator<WordPiece> {
      const view = this.words.snapshot();
      yield { total: this.total + (view.size > 2 ? this.number : 0) };
      yield* view;
    }
  }
  const odd = (): WordCounts => strictMachine(() => new Odd());
  await expect(simulate(odd, { seeds: 5, workload })).rejects.toThrow(
    /two instances .* different states .*\[0\]\.total is/,
  );
});
