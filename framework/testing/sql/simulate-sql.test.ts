import { DataSource, type EntityManager, EntitySchema } from 'typeorm';
import type { ApplyContext } from '../../smr/index.ts';
import { Counter, MIGRATIONS } from '../../smr/sql/counter.fixture.ts';
import { TransactionApplier } from '../../smr/sql/transaction-applier.ts';
import { failureOf } from '../machines/failure-of.fixture.ts';
import type { SeededRandom } from '../simulator/random.ts';
import { type SimulatedDatabase, simulateSql } from './index.ts';

type Command = { add: number };
const workload = (random: SeededRandom): Command => ({ add: 1 + random.below(9) });

const dataSource = (database: SimulatedDatabase): DataSource =>
  new DataSource({
    ...database,
    migrations: MIGRATIONS,
    migrationsTableName: 'varlog_migrations',
  });

jest.setTimeout(180_000);

/** What all counters have in common, by mistake. */
let inCommon = 0;

const DEFECTS: Record<string, [kind: string, machine: new () => Counter, says: RegExp]> = {
  'a clock of SQLite': [
    'nondeterministic',
    class extends Counter {
      override async apply(command: Command, manager: EntityManager, context: ApplyContext) {
        await manager.query("UPDATE counter SET value = strftime('%s', 'now') WHERE id = 1");
        return super.apply(command, manager, context);
      }
    },
    /strftime\(\) of now was called in SQL, in a simulation .*time of the context/,
  ],
  'chance of SQLite': [
    'nondeterministic',
    class extends Counter {
      override async apply(command: Command, manager: EntityManager, context: ApplyContext) {
        await manager.query('UPDATE counter SET value = abs(random() % 10) WHERE id = 1');
        return super.apply(command, manager, context);
      }
    },
    /random\(\) was called in SQL/,
  ],
  'the clock of the process': [
    'nondeterministic',
    class extends Counter {
      override async apply(command: Command, manager: EntityManager, context: ApplyContext) {
        return (await super.apply(command, manager, context)) + (Date.now() % 2);
      }
    },
    /Date\.now\(\) was called in a simulation/,
  ],
  'memory that outlives a command': [
    'nondeterministic',
    class extends Counter {
      private sum = 0;
      override async apply(command: Command, manager: EntityManager, context: ApplyContext) {
        await super.apply(command, manager, context);
        this.sum += command.add;
        return this.sum;
      }
    },
    /result is \d+ at replica r\d and \d+ /,
  ],
  'what machines have in common': [
    'nondeterministic',
    class extends Counter {
      override async apply({ add }: Command, manager: EntityManager, context: ApplyContext) {
        return super.apply({ add: add + (inCommon++ % 2) }, manager, context);
      }
    },
    /result is \d+ at replica r\d and \d+ /,
  ],
  'an exception at a rare command': [
    'threw',
    class extends Counter {
      override async apply(command: Command, manager: EntityManager, context: ApplyContext) {
        if (command.add === 7) throw new RangeError('seven is too much');
        return super.apply(command, manager, context);
      }
    },
    /could not be applied.*seven is too much/,
  ],
  'a statement that nobody waits for': [
    'nondeterministic',
    class extends Counter {
      override async apply(command: Command, manager: EntityManager, context: ApplyContext) {
        void super.apply(command, manager, context).catch(() => {});
        return 0;
      }
    },
    /replicas differ|the same commands led to something else/,
  ],
};

test('a machine in SQL that does what it should survives everything, twice alike', async () => {
  const options = {
    ...{ dataSource, workload, seeds: 3 },
    invariant: async (manager: EntityManager) => {
      const [row] = await manager.query('SELECT value FROM counter');
      return row.value >= 0;
    },
  };
  const report = await simulateSql(Counter, options);
  expect(report).toMatchObject({ seeds: 3, commands: 60 });
  expect(report.faults).toBeGreaterThan(10);
  expect(await simulateSql(() => new Counter(), options)).toEqual(report);
});

test.each(Object.entries(DEFECTS))('%s: found', async (_, [kind, machine, says]) => {
  const failure = await failureOf(simulateSql(machine, { dataSource, workload, seeds: 20 }));
  expect(failure.message).toMatch(says);
  expect(failure).toMatchObject({ code: 'MACHINE_DEFECT', details: { kind } });
});

test('an invariant that does not hold is found', async () => {
  const invariant = async (manager: EntityManager): Promise<boolean> => {
    const [row] = await manager.query('SELECT value FROM counter');
    return row.value < 30;
  };
  const failure = await failureOf(simulateSql(Counter, { dataSource, workload, invariant }));
  expect(failure).toMatchObject({ details: { kind: 'invariant' } });
  expect(failure.message).toMatch(/applies #\d+ .*state \{"counter":\[\{"id":1,"value":3\d\}\]\}/);
});

test('a result that depends on the order of rows for which the statement asks for none is found', async () => {
  class CreateSteps1700000000008 {
    readonly name = 'CreateSteps1700000000008';
    async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
      await runner.query('CREATE TABLE step (id integer PRIMARY KEY AUTOINCREMENT, size int)');
    }
    async down(): Promise<void> {}
  }
  const withSteps = (database: SimulatedDatabase): DataSource =>
    new DataSource({
      ...database,
      migrations: [...MIGRATIONS, CreateSteps1700000000008],
      migrationsTableName: 'varlog_migrations',
    });
  const machine = (order: string) => () => ({
    apply: async ({ add }: Command, manager: EntityManager) => {
      await manager.query('INSERT INTO step (size) VALUES (?)', [add]);
      return manager.query(`SELECT size FROM step ${order} LIMIT 1`);
    },
  });
  const simulated = (order: string) =>
    simulateSql(machine(order), { dataSource: withSteps, workload, seeds: 2 });
  const failure = await failureOf(simulated(''));
  expect(failure).toMatchObject({ details: { kind: 'nondeterministic' } });
  expect(failure.message).toMatch(/result\[0\]\.size is \d at/);
  await simulated('ORDER BY id');
});

test('a column that says by itself when its row was made is found', async () => {
  const Note = new EntitySchema<{ id: number; add: number; at: string }>({
    name: 'note',
    columns: {
      id: { type: Number, primary: true, generated: true },
      add: { type: Number },
      at: { type: String, default: () => "(datetime('now'))" },
    },
  });
  class CreateNote1700000000009 {
    readonly name = 'CreateNote1700000000009';
    async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
      await runner.query(
        `CREATE TABLE note (id integer PRIMARY KEY AUTOINCREMENT, "add" int NOT NULL, at text NOT NULL DEFAULT (datetime('now')))`,
      );
    }
    async down(): Promise<void> {}
  }
  const withNotes = (database: SimulatedDatabase): DataSource =>
    new DataSource({
      ...database,
      entities: [Note],
      migrations: [...MIGRATIONS, CreateNote1700000000009],
      migrationsTableName: 'varlog_migrations',
    });
  const machine = (at: (context: ApplyContext) => object) => () => ({
    apply: async ({ add }: Command, manager: EntityManager, context: ApplyContext) => {
      await manager.insert(Note, { add, ...at(context) });
      return manager.count(Note);
    },
  });
  const simulated = (at: (context: ApplyContext) => object) =>
    simulateSql(machine(at), { dataSource: withNotes, workload, seeds: 3 });
  const failure = await failureOf(simulated(() => ({})));
  expect(failure.message).toMatch(/datetime\(\) of now was called in SQL/);
  await simulated(({ time }) => ({ at: new Date(time).toISOString() }));
});

describe('what replicas owe is checked as well', () => {
  afterEach(() => jest.restoreAllMocks());

  test('effects that are kept without their position', async () => {
    interface Open {
      save(manager: EntityManager, position: number): Promise<void>;
    }
    const prototype = TransactionApplier.prototype as unknown as Open;
    const { save } = prototype;
    jest.spyOn(prototype, 'save').mockImplementation(async function (this: Open, manager, at) {
      await manager.query('COMMIT');
      await manager.query('BEGIN TRANSACTION');
      await save.call(this, manager, at);
    });
    const failure = await failureOf(
      simulateSql(Counter, { dataSource, workload, faults: ['crash'], seeds: 100 }),
    );
    expect(failure).toMatchObject({ details: { kind: 'nondeterministic' } });
    expect(failure.message).toMatch(/r\d crashes/);
  });
});

test('options that make no sense are refused', async () => {
  const options = { dataSource, workload };
  const refused = (source: unknown, given: object, says: RegExp) =>
    expect(simulateSql(source as typeof Counter, { ...options, ...given })).rejects.toThrow(says);
  await refused(new Counter(), {}, /an instance of Counter was given/);
  await refused(Counter, { dataSource: undefined }, /dataSource is/);
  await refused(Counter, { speculate: 1 }, /no option "speculate" of simulateSql/);
  await refused(Counter, { faults: ['earthquake'] }, /no fault "earthquake"; .* transaction/);
  await refused(() => ({}), {}, /no method `apply`/);
});
