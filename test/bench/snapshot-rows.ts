import {
  inPieces,
  type Pieces,
  type StateMachine,
  snapshotDirectory,
  startReplica,
  VersionedMap,
} from 'varlog/smr';
import { MemoryLog } from 'varlog/testing';
import { LocalProcesses } from '../process/local-processes.ts';
import type { Row } from './measure.ts';

const KEYS = 100_000;
const ROUNDS = 5;
const VALUE = 'x'.repeat(1_000);

type Piece = readonly [key: string, value: string];

/** Texts by key, handed over in pieces. */
class Texts implements StateMachine<string, null, Pieces<Piece>> {
  texts = new VersionedMap<string, string>();
  apply(key: string): null {
    this.texts.set(key, VALUE);
    return null;
  }
  snapshot(): Pieces<Piece> {
    return inPieces(this.texts.snapshot());
  }
  async restore(pieces: Pieces<Piece>): Promise<void> {
    const texts = new VersionedMap<string, string>();
    for await (const piece of pieces) texts.set(...piece);
    this.texts = texts;
  }
}

/** How long a snapshot of 100 MB, into a folder, holds up commands; and how long a replica takes to start from it. */
export async function snapshotRows(): Promise<Row[]> {
  await using processes = new LocalProcesses();
  const snapshots = snapshotDirectory(processes.folder('snapshots'));
  const log = new MemoryLog();
  const machine = new Texts();
  for (let i = 0; i < KEYS; i++) machine.apply(`key ${i}`);
  const replica = await startReplica({ machine, log, snapshots });
  let turn = 0;
  const execute = (): Promise<null> => replica.execute(`key ${(turn++ * 7_919) % KEYS}`);
  await execute();
  const [quiet, busy, took]: number[][] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    const begin = performance.now();
    busy!.push(await longest(execute, replica.snapshot()));
    const ms = performance.now() - begin;
    took!.push(ms);
    quiet!.push(await longest(execute, new Promise((resolve) => setTimeout(resolve, ms))));
  }
  await replica.close();

  const again = performance.now();
  const restored = await startReplica({ machine: new Texts(), log, snapshots });
  const restoreMs = performance.now() - again;
  await restored.close();
  return [
    {
      work: 'a snapshot of 100 MB in pieces, while commands go on: longest one (without it), and all of it',
      rate: `${middle(busy!).toFixed(1)} ms (${middle(quiet!).toFixed(1)} ms), ${(middle(took!) / 1000).toFixed(1)} s`,
    },
    { work: 'a replica that starts from it', rate: `${(restoreMs / 1000).toFixed(1)} s` },
  ];
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Executes one command after the other until `work` is done: how long the longest took, in milliseconds. */
async function longest(execute: () => Promise<unknown>, work: Promise<unknown>): Promise<number> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  let most = 0;
  while (!isDone) {
    const begin = performance.now();
    await execute();
    most = Math.max(most, performance.now() - begin);
    // So that what the snapshot does between two commands counts too.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  return most;
}
