import { jsonCodec, type StateMachine } from '../../smr/index.ts';
import { checkReplay, checkSnapshots } from './replay.ts';

class Stock implements StateMachine<{ item: string; by: number }, number, unknown> {
  protected stock = new Map<string, number>();
  apply({ item, by }: { item: string; by: number }): number {
    const left = (this.stock.get(item) ?? 0) + by;
    this.stock.set(item, left);
    return left;
  }
  snapshot(): unknown {
    return [...this.stock];
  }
  restore(stock: unknown): void {
    this.stock = new Map(stock as [string, number][]);
  }
}

const commands = ['a', 'b', 'a', 'c'].map((item, i) => ({ item, by: i + 1 }));

test('a deterministic machine with a whole snapshot passes, by its class and by what makes it', async () => {
  for (const source of [Stock, () => new Stock()]) {
    checkReplay(source, commands);
    await checkSnapshots(source, commands);
    await checkSnapshots(source, []);
  }
});

test('machines that do not do the same are found, where they differ first', () => {
  let made = 0;
  class Odd extends Stock {
    private readonly number = made++;
    override apply(command: { item: string; by: number }): number {
      return super.apply(command) + (command.item === 'c' ? this.number : 0);
    }
  }
  expect(() => checkReplay(Odd, commands)).toThrow(
    /position 4: result is \d at one machine and \d/,
  );
});

test('what a snapshot leaves out is found, and named by its path', async () => {
  class Forgetful extends Stock {
    override snapshot(): unknown {
      return [...this.stock].filter(([item]) => item !== 'b');
    }
  }
  await expect(checkSnapshots(Forgetful, [...commands, { item: 'b', by: 1 }])).rejects.toThrow(
    /restored from the snapshot of position 4, is another one: with the next command, result is 3/,
  );
  class Rounding extends Stock {
    override restore(stock: unknown): void {
      super.restore((stock as [string, number][]).map(([item, left]) => [item, left & ~1]));
    }
  }
  await expect(checkSnapshots(Rounding, commands)).rejects.toThrow(
    /state\[1\]\[1\] is 2 in the snapshot|state\[\d\]\[1\] is \d in the snapshot and \d after `restore`/,
  );
});

test('a codec of snapshots that loses something is found too', async () => {
  const json = jsonCodec<unknown>();
  const lossy = { ...json, encode: (state: unknown) => json.encode((state as []).slice(0, 1)) };
  const twice = [...commands, ...commands];
  await expect(checkSnapshots(Stock, twice, { codec: { snapshot: lossy } })).rejects.toThrow(
    /result is/,
  );
});

test('the order of the fields of an object is not a difference', async () => {
  class Fields extends Stock {
    override snapshot(): unknown {
      return Object.fromEntries(this.stock);
    }
    override restore(stock: unknown): void {
      super.restore(Object.entries(stock as object).reverse());
    }
  }
  await checkSnapshots(Fields, commands);
});
