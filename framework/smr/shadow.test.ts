import fc from 'fast-check';
import { filter, firstValueFrom, lastValueFrom } from 'rxjs';
import { VarlogError } from '../base/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import {
  type MachineDefinition,
  type Shadow,
  type ShadowStatus,
  type StateMachine,
  startReplica,
  startShadow,
  versionedJson,
} from './index.ts';
import { breaking, logWithSkip } from './skipped-log.fixture.ts';
import { Sums, sumsWith } from './sums.fixture.ts';

const put = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  value: fc.integer({ min: 1, max: 5 }),
});
const puts = fc.array(put, { minLength: 1, maxLength: 20 });

const at = (shadow: Shadow, position: number): Promise<ShadowStatus> =>
  firstValueFrom(
    shadow.status$.pipe(filter((it) => it.position >= position || it.state === 'differs')),
  );

describe('a shadow', () => {
  test('finds the very command at which a new version parts from the old one while both follow the log, and nothing that lies before the fork', async () => {
    await fc.assert(
      fc.asyncProperty(
        puts,
        puts,
        fc.record({
          at: fc.integer({ min: 1, max: 45 }),
          kind: fc.constantFrom('result' as const, 'state' as const, 'failure' as const),
        }),
        fc.integer({ min: 1, max: 7 }),
        async (before, after, defect, stateEvery) => {
          const log = new MemoryLog();
          const replica = await startReplica({ machine: new Sums(), log });
          const positions: number[] = [];
          replica.applied$.subscribe((it) => positions.push(it.position));
          for (const it of before) await replica.execute(it);
          await using shadow = await startShadow({
            log,
            against: sumsWith(),
            machine: sumsWith(defect),
            stateEvery,
          });
          for (const it of after) await replica.execute(it);
          const tail = await log.tail();
          await at(shadow, tail);
          const found = await shadow.compare();
          const isSeen = defect.at > before.length && defect.at <= positions.length;
          expect(found?.position).toBe(isSeen ? positions[defect.at - 1] : undefined);
          const { state, difference, commands } = await firstValueFrom(shadow.status$);
          expect([state, difference]).toEqual(
            isSeen ? ['differs', found] : ['comparing', undefined],
          );
          if (isSeen) expect(found?.kind).toBe(defect.kind);
          else expect(commands).toBe(after.length);
          expect(await log.tail()).toBe(tail);
          await replica.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  test('takes over the state of the old version, in the shape of the new one, with its timers and its rules', async () => {
    type Old = { total: number };
    type New = { sum: number; times: number };
    class Totals implements StateMachine<number, number, Old> {
      total = 0;
      apply(by: number): number {
        this.total += by;
        return this.total;
      }
      snapshot(): Old {
        return { total: this.total };
      }
      restore({ total }: Old): void {
        this.total = total;
      }
    }
    /** Applied to all commands from the first one on it would come to another sum. */
    class Newer implements StateMachine<number, number, New> {
      sum = 1_000;
      apply(by: number): number {
        this.sum += by;
        return this.sum;
      }
      snapshot(): New {
        return { sum: this.sum, times: 0 };
      }
      restore({ sum }: New): void {
        this.sum = sum;
      }
    }
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Totals(), log });
    await replica.execute(5);
    const machine: MachineDefinition<number, number, New> = {
      make: () => new Newer(),
      codec: {
        snapshot: versionedJson<[Old, New]>({
          upcast: { 1: ({ total }) => ({ sum: total, times: 0 }) },
        }),
      },
    };
    const against: MachineDefinition<number, number, Old> = {
      make: () => new Totals(),
      codec: { snapshot: versionedJson<[Old]>({ upcast: {} }) },
    };
    const definitions = { machine, against } as {
      machine: MachineDefinition;
      against: MachineDefinition;
    };
    await using shadow = await startShadow({ log, ...definitions });
    await replica.execute(3);
    await at(shadow, await log.tail());
    expect(await shadow.compare()).toBeUndefined();
    expect((shadow.machine as Newer).sum).toBe(8);
  });

  test('waits while the log does not answer, and says so; it fails where the log cannot be followed any more', async () => {
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Sums(), log });
    await replica.execute({ key: 'a', value: 1 });
    const inner = log.follow.bind(log);
    const failures: Error[] = [];
    const flaky = Object.assign(Object.create(log) as MemoryLog, {
      async *follow(...args: Parameters<MemoryLog['follow']>) {
        for await (const it of inner(...args)) {
          const failure = failures.shift();
          if (failure !== undefined) throw failure;
          yield it;
        }
      },
    });
    await using shadow = await startShadow({
      log: flaky,
      against: sumsWith(),
      machine: sumsWith(),
    });
    const states: string[] = [];
    shadow.status$.subscribe(({ state }) => {
      if (states.at(-1) !== state) states.push(state);
    });
    failures.push(new VarlogError('UNAVAILABLE', { what: 'no quorum' }));
    await replica.execute({ key: 'a', value: 2 });
    await at(shadow, await log.tail());
    expect(states).toEqual(['comparing', 'connecting', 'comparing']);
    const gone = new VarlogError('TRIMMED', { what: 'the head is gone' });
    failures.push(gone);
    await replica.execute({ key: 'a', value: 3 });
    const last = await lastValueFrom(shadow.status$);
    expect([last.state, last.error]).toEqual(['failed', gone]);
    await expect(shadow.compare()).rejects.toBe(gone);
  });

  test('a command that neither version can apply ends it; a closed one says so', async () => {
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Sums(), log });
    const broken = sumsWith({ at: 1, kind: 'failure' });
    const failing = await startShadow({ log, against: broken, machine: broken });
    const closed = await startShadow({ log, against: sumsWith(), machine: sumsWith() });
    await closed.close();
    await replica.execute({ key: 'a', value: 1 });
    const last = await lastValueFrom(failing.status$);
    expect(last).toMatchObject({ state: 'failed', error: { code: 'APPLY_FAILED' } });
    await failing.close();
    expect(await lastValueFrom(closed.status$)).toMatchObject({ state: 'closed', position: 0 });
    await expect(closed.compare()).rejects.toMatchObject({ code: 'CLOSED' });
    await closed.close();
  });

  test('what calls off its start stops nothing afterwards', async () => {
    const { log, forkAt, position } = await logWithSkip();
    const starting = new AbortController();
    const { signal } = starting;
    const both = { log, against: breaking, machine: breaking, forkAt };
    await using shadow = await startShadow({ ...both, signal });
    starting.abort(new Error('too late'));
    expect(await at(shadow, position + 1)).toMatchObject({ state: 'comparing' });
    await expect(startShadow({ ...both, signal })).rejects.toThrow('too late');
  });

  test('is closed while it waits for a log that does not answer', async () => {
    const { log, forkAt } = await logWithSkip();
    let isStarted = false;
    let isWaiting = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      isWaiting = resolve;
    });
    const silent = Object.assign(Object.create(log) as MemoryLog, {
      async *follow(...[from, options]: Parameters<MemoryLog['follow']>) {
        if (isStarted && from === 1) {
          isWaiting();
          await new Promise((resolve) => options?.signal?.addEventListener('abort', resolve));
        }
        yield* log.follow(from, options);
      },
    });
    const both = { against: breaking, machine: breaking, forkAt };
    const shadow = await startShadow({ log: silent, ...both });
    isStarted = true;
    await waiting;
    await shadow.close();
    expect(await lastValueFrom(shadow.status$)).toMatchObject({ state: 'closed' });
  });

  test('a start is called off while the log does not say which one it is', async () => {
    const starting = new AbortController();
    const log = new MemoryLog();
    const silent = Object.assign(Object.create(log) as MemoryLog, {
      identity: () => {
        starting.abort(new Error('enough'));
        return new Promise(() => {});
      },
    });
    const both = { log: silent, against: sumsWith(), machine: sumsWith() };
    const start = startShadow({ ...both, signal: starting.signal });
    await expect(start).rejects.toThrow('enough');
  });

  test('options that make no sense are refused, and so is a fork behind the tail', async () => {
    const log = new MemoryLog();
    const both = { log, against: sumsWith(), machine: sumsWith() };
    await expect(startShadow({ ...both, stateEvery: 0 })).rejects.toThrow(
      /INVALID.*stateEvery is 0/,
    );
    await expect(startShadow({ ...both, forkAt: 1.5 })).rejects.toThrow(/INVALID.*forkAt is 1.5/);
    await expect(startShadow({ ...both, forkAt: 7 })).rejects.toMatchObject({
      code: 'BEYOND_TAIL',
    });
    const other = { make: () => new Sums(), name: 'other' };
    await expect(startShadow({ ...both, machine: other })).rejects.toThrow(/"machine".*"other"/);
  });
});
