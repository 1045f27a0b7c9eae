/**
 * A configuration service: versions that nobody overwrites unseen, and watchers that miss no change and see none twice,
 * wherever they go on.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/config-service.js
 * survived 20 seeds of crashes, lost answers and restores
 * timeoutMs is 500 now, version 1
 * timeoutMs is 800 now, version 2
 * refused: timeoutMs has version 2, not 1
 * replicas must be from 1 to 7
 * the old version is back: timeoutMs is 500 now, version 3
 * the first watcher saw 500 and went away
 * the second one goes on at another replica: 800, 500
 * ```
 */
import { Varlog } from 'varlog/log';
import { type ApplyContext, type Replica, type StateMachine, startReplica } from 'varlog/smr';
import { simulate } from 'varlog/testing';

type Command =
  /** `over`: the version that its writer has seen, 0 where there was none. */
  | { readonly op: 'set'; readonly key: string; readonly value: number; readonly over: number }
  | { readonly op: 'rollBack'; readonly key: string };

type Result = { readonly version: number; readonly value: number } | { readonly refused: string };

interface Setting {
  readonly key: string;
  readonly value: number;
  readonly version: number;
}

const LIMITS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  timeoutMs: [1, 60_000],
  replicas: [1, 7],
};
/** Older values are forgotten. */
const HISTORY_MAX = 10;

class ConfigService implements StateMachine<Command, Result, [string, Setting[]][]> {
  /** Of each key what it was, the newest last. */
  private settings = new Map<string, Setting[]>();

  get(key: string): Setting | undefined {
    return this.settings.get(key)?.at(-1);
  }

  apply(command: Command, context: ApplyContext<Command>): Result {
    const { key } = command;
    const history = this.settings.get(key) ?? [];
    const { version = 0 } = history.at(-1) ?? {};
    if (command.op === 'set' && command.over !== version)
      return { refused: `${key} has version ${version}, not ${command.over}` };
    const value = command.op === 'set' ? command.value : history.at(-2)?.value;
    if (value === undefined) return { refused: `there is nothing that ${key} was before` };
    // Checked here, and not only where it was typed: every writer meets the same rule, old ones too.
    const [min, max] = LIMITS[key] ?? [1, 0];
    if (!(value >= min && value <= max)) {
      const allowed = min <= max ? `must be from ${min} to ${max}` : 'is no setting';
      return { refused: `${key} ${allowed}` };
    }
    const setting = { key, value, version: version + 1 };
    this.settings.set(key, [...history, setting].slice(-HISTORY_MAX));
    context.emit(setting);
    return { version: setting.version, value };
  }

  snapshot(): [string, Setting[]][] {
    return [...this.settings];
  }

  restore(settings: [string, Setting[]][]): void {
    this.settings = new Map(settings);
  }
}

const { seeds } = await simulate(ConfigService, {
  seeds: 20,
  workload: (random): Command =>
    random.chance(0.3)
      ? { op: 'rollBack', key: 'replicas' }
      : { op: 'set', key: 'replicas', value: random.below(9), over: random.below(5) },
  invariant: (service) => (service.get('replicas')?.value ?? 1) <= 7,
});
console.log(`survived ${seeds} seeds of crashes, lost answers and restores`);

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const log = await varlog.createTopic();
await using here = await startReplica({ machine: new ConfigService(), log });
await using there = await startReplica({ machine: new ConfigService(), log });

/** Writes over what its writer has seen. */
async function change(command: Command): Promise<string> {
  const result = await here.execute(command);
  if ('refused' in result) return result.refused;
  return `${command.key} is ${result.value} now, version ${result.version}`;
}

/** The values of the next changes from a position on, and the position of the last of them. */
async function watch(
  replica: Replica<Command, Result, ConfigService>,
  from: number,
  count: number,
): Promise<{ values: number[]; position: number }> {
  const values: number[] = [];
  for await (const event of replica.changes<Setting>({ from })) {
    if (event.kind === 'changes') values.push(...event.changes.map((it) => it.value));
    if (values.length >= count) return { values, position: event.position };
  }
  throw new Error('changes never end');
}

console.log(await change({ op: 'set', key: 'timeoutMs', value: 500, over: 0 }));
console.log(await change({ op: 'set', key: 'timeoutMs', value: 800, over: 1 }));
console.log(`refused: ${await change({ op: 'set', key: 'timeoutMs', value: 900, over: 1 })}`);
console.log(await change({ op: 'set', key: 'replicas', value: 9, over: 0 }));
console.log(`the old version is back: ${await change({ op: 'rollBack', key: 'timeoutMs' })}`);

const first = await watch(here, 1, 1);
console.log(`the first watcher saw ${first.values.join(', ')} and went away`);
const second = await watch(there, first.position + 1, 2);
console.log(`the second one goes on at another replica: ${second.values.join(', ')}`);
