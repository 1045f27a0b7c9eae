import { LocalState } from './local-state.ts';
import { walSimulation } from './wal-simulation.fixture.ts';
import type { WalRecord } from './wal-topic.ts';
import { WalWriter } from './writer.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 8);
/** So many are tried to find a planted defect. */
const TRIED = 60;

/** What is private of a writer and of its state. */
interface Inner {
  topic: WalWriter['topic'];
  state: LocalState;
  token: number;
  stopped: unknown;
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  write(record: WalRecord): Promise<number>;
}

const writer = WalWriter.prototype as unknown as Inner & { checkpoint(): Promise<number> };

/** Puts another method in the place of one, until what is returned is called. */
function replace<T extends object, K extends keyof T>(of: T, name: K, by: T[K]): () => void {
  const before = of[name];
  of[name] = by;
  return () => {
    of[name] = before;
  };
}

const unfenced = (): (() => void) =>
  replace(writer, 'write', async function (this: Inner, record) {
    if (this.stopped !== undefined) throw this.stopped;
    const { glsn } = await this.topic.records.append(record);
    await this.state.apply(record, glsn);
    return glsn;
  });

const goesOnAfterUnknown = (): (() => void) => {
  const { write } = writer;
  return replace(writer, 'write', async function (this: Inner, record) {
    try {
      return await write.call(this, record);
    } catch (error) {
      if ((error as { outcome?: unknown }).outcome === 'unknown') this.stopped = undefined;
      throw error;
    }
  });
};

const trimsFirst = (): (() => void) =>
  replace(writer, 'checkpoint', function (this: Inner) {
    return this.inTurn(async () => {
      const end = await this.topic.log.tail();
      if (end > 0) await this.topic.trim(end);
      return this.write({ op: 'checkpoint', pairs: await this.state.pairs() });
    });
  });

const looksTooEarly = (): (() => void) =>
  replace(writer, 'checkpoint', async function (this: Inner) {
    const pairs = await this.state.pairs();
    return this.inTurn(() => this.write({ op: 'checkpoint', pairs }));
  });

/** The position is remembered after the record, not with it. */
const twoTransactions = (): (() => void) => {
  const { apply } = LocalState.prototype;
  return replace(
    LocalState.prototype,
    'apply',
    async function (this: LocalState, record, position) {
      if (record.op === 'put')
        await this['source'].manager.save('item', { ...record, op: undefined });
      await apply.call(this, record, position);
    },
  );
};

/** The position is remembered before the record, not with it. */
const positionFirst = (): (() => void) => {
  const { apply } = LocalState.prototype;
  return replace(
    LocalState.prototype,
    'apply',
    async function (this: LocalState, record, position) {
      if (position > this.position)
        await this['source'].manager.save('progress', { id: 1, log: this['log'], position });
      await apply.call(this, record, position);
    },
  );
};

const dirtyReads = (): (() => void) =>
  replace(
    LocalState.prototype as unknown as { inTurn<T>(work: () => Promise<T>): Promise<T> },
    'inTurn',
    (work) => work(),
  );

const readsBeforeTheFence = (): (() => void) =>
  replace(
    WalWriter as unknown as { open: typeof WalWriter.open },
    'open',
    async (topic, directory) => {
      const state = await LocalState.open(directory, await topic.log.identity());
      for await (const { value, glsn } of topic.records.read({ from: state.position + 1 }))
        await state.apply(value, glsn);
      const token = await topic.records.fence();
      return Reflect.construct(WalWriter, [topic, state, token]) as WalWriter;
    },
  );

test(`through ${SEEDS} seeds: every answer is what the log makes of the store at its position`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await walSimulation(seed);
}, 600_000);

test.each([
  ['appends carry no fencing token', unfenced, /a writer that had stopped wrote|the checkpoint at/],
  [
    'a writer goes on after a write of which nobody knows',
    goesOnAfterUnknown,
    /a writer that had stopped wrote|the checkpoint at|\w at \d/,
  ],
  ['the log is trimmed before the checkpoint is there', trimsFirst, /trimmed up to \d+/],
  ['a checkpoint lacks what was under way', looksTooEarly, /the checkpoint at/],
  [
    'a record and its position are two transactions',
    twoTransactions,
    /half did has stayed|of a follower at/,
  ],
  [
    'a position is remembered before its record',
    positionFirst,
    /a position has stayed without its record/,
  ],
  ['reads see a record that is half applied', dirtyReads, /of a follower at/],
  ['the log is read before it is fenced', readsBeforeTheFence, /\w at \d+|TRIMMED/],
])(
  'it is found when %s',
  async (_, plant, violation) => {
    const mend = plant();
    try {
      const seeds = async (): Promise<void> => {
        for (let seed = 1; seed <= TRIED; seed++) await walSimulation(seed);
      };
      await expect(seeds()).rejects.toThrow(violation);
    } finally {
      mend();
    }
  },
  600_000,
);
