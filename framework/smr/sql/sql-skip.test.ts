import type { DataSourceOptions } from 'typeorm';
import { onEachDatabase, type SuiteDatabases } from '../../../test/databases.ts';
import type { VarlogError } from '../../base/index.ts';
import { MemoryLog } from '../../testing/memory-log.ts';
import { jsonCodec, skipCommand } from '../index.ts';
import { Counter, MIGRATIONS, valueIn } from './counter.fixture.ts';
import { type SqlReplica, startSqlReplica } from './index.ts';

type Adding = { add: number };

/** Throws on one command, when half of it is done. */
class Fragile extends Counter {
  override async apply(...given: Parameters<Counter['apply']>): Promise<number> {
    const value = await super.apply(...given);
    if (given[0].add === 13) throw new Error('a bug');
    return value;
  }
}

const json = jsonCodec<Adding>();
/** Cannot decode one command. */
const codec = {
  command: {
    encode: json.encode,
    decode: (bytes: Uint8Array) => {
      const command = json.decode(bytes);
      if (command.add === 17) throw new Error('what is this?');
      return command;
    },
  },
};

function suite(databases: SuiteDatabases): void {
  const start = (
    database: DataSourceOptions,
    log: MemoryLog,
  ): Promise<SqlReplica<Adding, number>> => {
    const dataSource = databases.sourceOf(database, MIGRATIONS);
    const options = { machine: new Fragile(), dataSource, log, codec };
    return startSqlReplica({ ...options, attemptsMax: 2, batchMax: 2 });
  };

  test.each([
    ['applied', 13],
    ['decoded', 17],
  ])('a command that cannot be %s is passed over by all, once it is ordered', async (_, poison) => {
    const log = new MemoryLog();
    const two = [await databases.fresh(), await databases.fresh()];
    const startAll = (): Promise<SqlReplica<Adding, number>[]> =>
      Promise.all(two.map((it) => start(it, log)));
    const failing = await startAll();
    await failing[0]!.execute({ add: 1 });
    const error = await failing[0]!.execute({ add: poison }, { requestId: 'poison' }).then(
      () => undefined,
      (cause: unknown) => cause as VarlogError,
    );
    expect(error).toMatchObject({ code: 'APPLY_FAILED' });
    const { position } = (error!.cause as VarlogError).details as { position: number };
    await Promise.all(failing.map((it) => it.close()));
    await skipCommand(log, position);
    const mended = await startAll();
    expect(await mended[1]!.execute({ add: 2 })).toBe(3);
    for (const it of mended) expect(await it.query(valueIn)).toBe(3);
    // Whoever repeats it is told so, everywhere and for good.
    const repeated = mended[1]!.execute({ add: poison }, { requestId: 'poison' });
    await expect(repeated).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    await Promise.all(mended.map((it) => it.close()));
    const again = await startAll();
    expect(await again[0]!.execute({ add: 3 })).toBe(6);
    expect(await again[1]!.query(valueIn)).toBe(6);
    await again[1]!.close();
    await expect(skipCommand(log, position)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await again[0]!.close();
  });
}

onEachDatabase('passing over commands', suite);
