import { type Disk, VarlogError } from '../../framework/base/index.ts';
import type { NodeRoles } from '../../framework/log/roles/index.ts';
import { type RunReport, World } from '../../framework/testing/index.ts';
import { checkLog, type History, startAppenders } from './append-history.ts';
import { copyFolder } from './folders.ts';
import { must } from './memory.ts';
import { makeTopic, NODES, startNode } from './three-nodes.ts';

/** The node whose files are damaged; its neighbour has files of the same names. */
const [VICTIM = '', NEIGHBOUR = ''] = NODES;
const STEPS = 5;
const SETTLES_WITHIN_MS = 120_000;
const FOLDERS = ['metadata', 'storage'];
/** Where the disk of the victim keeps what it had at other times. */
const EARLIER = 'earlier';
const LAST = 'last';

/** What becomes of a file; `undefined`: it is gone. */
type Damage = (
  bytes: Uint8Array,
  others: { earlier?: Uint8Array; neighbours?: Uint8Array; siblings?: Uint8Array },
) => Uint8Array | undefined;

const DAMAGE: Record<string, Damage> = {
  empty: () => new Uint8Array(),
  half: (bytes) => bytes.subarray(0, Math.floor(written(bytes) / 2)),
  flipped: (bytes) => bytes.map((it, i) => (i === Math.floor(written(bytes) / 2) ? it ^ 16 : it)),
  zeros: (bytes) => new Uint8Array(bytes.length),
  gone: () => undefined,
  earlier: (bytes, { earlier = bytes }) => earlier,
  'of another node': (bytes, { neighbours = bytes }) => neighbours,
  'of another log stream': (bytes, { siblings = bytes }) => siblings,
};

/** What a node may say of its files. Anything else is a bug that the damage brought to light. */
const TOLD = ['CORRUPT', 'DISK_LOST', 'IDENTITY_MISMATCH'];
/** It names what it is about, as a path or as the member whose disk it is. */
const NAMED = /\/(metadata|storage)|member 1 of Raft group/;

/**
 * One file after the other of one node is damaged while it is down. It must go on with all that was acknowledged, or refuse with an
 * error that says which file or folder it is about, until the folder is put back; and the others go on meanwhile. What it refuses it
 * does not touch.
 */
export async function damagedFilesScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    const victim = new Victim();
    for (const name of NODES) {
      world.node(name, async (ports) => {
        if (name !== VICTIM) return startNode(ports, name);
        const told = victim.told.bind(victim);
        try {
          return await startNode({ ...ports, logger: { log: told } }, name);
        } catch (error) {
          victim.refusal = error;
          return { close: async () => {} };
        }
      });
    }
    const topicId = await world.play(() => makeTopic(world.ports('operator')), 60_000);
    const history: History = { attempts: [], commands: [] };
    let over = false;
    const clients = startAppenders(world, 2, topicId, history, () => over);
    await world.run(2_000);
    await down(world, EARLIER);
    world.restart(VICTIM);
    for (let i = 0; i < STEPS; i++) {
      await world.run(1_000);
      await step(world, victim);
    }
    over = true;
    await world.play(() => Promise.all(clients), 120_000);
    await world.play(() => checkLog(world.ports('auditor'), topicId, history), 120_000);
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

/** What the victim said since it was damaged. */
class Victim {
  refusal: unknown;
  readonly errors: string[] = [];

  told(level: string, event: string, fields: object = {}): void {
    if (level !== 'error') return;
    const { error = '' } = fields as { error?: unknown };
    this.errors.push(`${event} ${error instanceof Error ? error.message : String(error)}`);
  }

  forget(): void {
    this.refusal = undefined;
    this.errors.length = 0;
  }
}

async function step(world: World, victim: Victim): Promise<void> {
  const random = world.random.stream('damage');
  await down(world, LAST);
  const disk = world.disk(VICTIM);
  const paths = pathsOf(world, VICTIM);
  const path = random.pick(paths);
  const name = random.pick(Object.keys(DAMAGE));
  const what = `${path} ${name}`;
  world.note(`damage ${what}`);
  const sibling = path.replace(/(?<=replicas\/)\d+/, (id) => String(3 - Number(id)));
  await world.play(async () => {
    const others = {
      earlier: await read(disk, `${EARLIER}/${path}`),
      neighbours: await read(world.disk(NEIGHBOUR), path),
      siblings: await read(disk, sibling),
    };
    const kept = Object.entries(others).filter(([, it]) => it !== undefined);
    const bytes = await read(disk, path);
    const damaged = DAMAGE[name]!(bytes!, Object.fromEntries(kept));
    await disk.remove(path);
    if (damaged !== undefined) await write(disk, path, damaged);
    await disk.syncDirectory(path.slice(0, path.lastIndexOf('/')));
  }, 60_000);
  victim.forget();
  world.restart(VICTIM);
  let end: ReturnType<typeof outcome>;
  const hasEnded = (): boolean => {
    end = outcome(world, victim);
    return end !== undefined;
  };
  await world.until(hasEnded, SETTLES_WITHIN_MS).catch((cause: unknown) => {
    throw new Error(`nothing comes of ${what}: ${victim.errors}`, { cause });
  });
  const said = [
    ...victim.errors,
    ...(victim.refusal === undefined ? [] : [textOf(victim.refusal)]),
  ];
  for (const it of said) {
    const codes = it.match(/\b(INVARIANT|INTERNAL|TypeError|RangeError)\b/);
    must(codes === null, `${what} ends in ${it}`);
  }
  if (end === 'whole') return;
  const refusal = textOf(victim.refusal);
  must(
    TOLD.some((it) => refusal.includes(`${it}: `)) && NAMED.test(refusal),
    `${what} ends in ${refusal}`,
  );
  await putBack(world);
  victim.forget();
  world.restart(VICTIM);
  await world
    .until(() => outcome(world, victim) === 'whole', SETTLES_WITHIN_MS)
    .catch((cause: unknown) => {
      throw new Error(`not whole after ${what} was put back: ${victim.errors}`, { cause });
    });
}

/** Ends the victim, and keeps a copy of its folders under `name`. */
async function down(world: World, name: string): Promise<void> {
  world.crash(VICTIM);
  const disk = world.disk(VICTIM);
  for (const it of FOLDERS) {
    await world.play(() => copyFolder(disk, it, disk, `${name}/${it}`), 60_000);
  }
}

async function putBack(world: World): Promise<void> {
  world.crash(VICTIM);
  const disk = world.disk(VICTIM);
  for (const it of FOLDERS) {
    await world.play(() => copyFolder(disk, `${LAST}/${it}`, disk, it), 60_000);
  }
}

/** Whether the victim refused something, or is whole; `undefined`: neither, until now. */
function outcome(world: World, victim: Victim): 'refused' | 'whole' | undefined {
  if (victim.refusal !== undefined) return 'refused';
  const { repository, storageNode } = (world.process(VICTIM) ?? {}) as Partial<NodeRoles>;
  if (repository === undefined || storageNode === undefined) return undefined;
  if (repository.failure !== undefined) {
    victim.refusal = repository.failure;
    return 'refused';
  }
  const { replicas } = storageNode.status;
  const failed = storageNode.notReady().find((it) => it.includes('is failed: '));
  if (failed !== undefined) {
    victim.refusal = failed;
    return 'refused';
  }
  const isWhole = replicas.length === 3 && replicas.every((it) => it.state === 'open');
  return isWhole && storageNode.notReady().length === 0 ? 'whole' : undefined;
}

function pathsOf(world: World, name: string): string[] {
  const paths = world
    .disk(name)
    .files()
    .map((it) => it.path);
  return paths.filter(
    (it) => FOLDERS.some((folder) => it.startsWith(`${folder}/`)) && !/LOCK|trash|\.new$/.test(it),
  );
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Files are longer than what was written to them. */
const written = (bytes: Uint8Array): number => bytes.findLastIndex((it) => it !== 0) + 1;

async function read(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await disk.open(path, 'existing');
    const bytes = await file.read(0, await file.size());
    await file.close();
    return bytes.slice();
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

async function write(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.write(0, [bytes]);
  await file.sync();
  await file.close();
}
