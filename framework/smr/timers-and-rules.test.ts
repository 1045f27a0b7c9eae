import { sleep } from '../base/index.ts';
import { MemoryLog, World } from '../testing/index.ts';
import {
  type ApplyContext,
  type Cause,
  type MachineDefinition,
  replay,
  type StateMachine,
  startReplica,
  why,
} from './index.ts';

type Command = { op: 'later'; key: string; ms: number } | { op: 'note'; key: string };

/** Notes by which rules commands were applied, some of them later. With a defect it notes timers under another version. */
class Notes implements StateMachine<Command, number, [string, number][]> {
  readonly rules = 2;
  notes = new Map<string, number>();
  private readonly late: number;
  constructor(late = 0) {
    this.late = late;
  }
  apply({ op, ...it }: Command, context: ApplyContext<Command>): number {
    if (op === 'later') {
      const { ms } = it as { ms: number };
      return context.schedule(context.time + ms, { op: 'note', key: it.key }) ?? 0;
    }
    const rules = context.rules + (context.timer === undefined ? 0 : this.late);
    this.notes.set(it.key, rules);
    context.emit(it.key);
    return rules;
  }
  snapshot() {
    return [...this.notes];
  }
  restore(notes: [string, number][]): void {
    this.notes = new Map(notes);
  }
  inspect(key: string): number | undefined {
    return this.notes.get(key);
  }
}

/** A log with a timer that is due before the rules are raised, two that are due after that, and a command behind them. */
async function withLog(
  use: (log: MemoryLog, applied: string[][], world: World) => Promise<void>,
): Promise<void> {
  const world = new World(1, { guard: false });
  try {
    await world.play(async () => {
      const { clock } = world.ports('test');
      const log = new MemoryLog();
      const ports = ['one', 'two'].map((name) => world.ports(name));
      const applied: string[][] = [[], []];
      const replicas = await Promise.all(
        ports.map((it) => startReplica({ machine: new Notes(), log, ports: it })),
      );
      const [one, two] = [replicas[0]!, replicas[1]!];
      for (const [i, replica] of replicas.entries())
        replica.applied$.subscribe(({ position, index, command, result }) => {
          const what = command.op === 'note' ? command.key : 'later';
          applied[i]!.push(`${position}:${index} ${what} ${result}`);
        });
      await one.execute({ op: 'later', key: 'early', ms: 1_000 });
      await one.execute({ op: 'later', key: 'x', ms: 60_000 });
      await one.execute({ op: 'later', key: 'y', ms: 60_000 });
      await sleep(clock, 30_000);
      await two.upgradeTo(2);
      await sleep(clock, 100_000);
      await two.execute({ op: 'note', key: 'own' });
      for (const it of replicas) await it.caughtUp();
      await use(log, applied, world);
      for (const it of replicas) await it.close();
    }, 3_600_000);
  } finally {
    world.close();
  }
}

const notes = (late?: number): MachineDefinition => ({ make: () => new Notes(late) });

test('a command is applied by the rules in force when it is due, on all replicas at the same place', () =>
  withLog(async (_log, [one, two]) => {
    expect(two).toEqual(one);
    expect(one!.map((it) => it.replace(/^\d+:/, '')).slice(3)).toEqual([
      '0 early 1',
      '0 x 2',
      '1 y 2',
      '0 own 2',
    ]);
  }));

test('a replay applies them where replicas did, and names the one that comes to something else', () =>
  withLog(async (log, _applied, world) => {
    const ports = world.ports('replay');
    const same = await replay({ log, ports, against: notes(), machine: notes() });
    expect(same).toEqual({ commands: 7, position: await log.tail() });
    const { difference } = await replay({ log, ports, against: notes(), machine: notes(1) });
    expect(difference).toMatchObject({ kind: 'result', command: { op: 'note', key: 'early' } });
  }));

test('why tells of the timer whose command made a value', () =>
  withLog(async (log, _applied, world) => {
    const causes: Cause[] = [];
    const asked = { log, ports: world.ports('why'), machine: notes() };
    for await (const it of why({ ...asked, key: 'x' })) causes.push(it);
    expect(causes).toMatchObject([{ index: 0, command: { key: 'x' }, value: 2 }]);
    causes.length = 0;
    for await (const it of why({ ...asked, key: 'y' })) causes.push(it);
    expect(causes).toMatchObject([{ index: 1, command: { key: 'y' }, value: 2 }]);
  }));
