/**
 * Much state: it is handed over in pieces while commands go on, kept in a store that all replicas share, and the log is
 * trimmed behind it.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/large-state.js
 * counted 2000 words
 * kept a snapshot, and counted 100 more meanwhile
 * the log begins behind the snapshot: true
 * a new replica, which starts from it, has 2100 words
 * ```
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom } from 'rxjs';
import { Varlog } from 'varlog/log';
import {
  inPieces,
  objectDirectory,
  type Pieces,
  type StateMachine,
  sharedSnapshots,
  startReplica,
  VersionedMap,
} from 'varlog/smr';

type Piece = { total: number } | [word: string, count: number];

class WordCounts implements StateMachine<string, number, Pieces<Piece>> {
  words = new VersionedMap<string, number>();
  total = 0;

  apply(word: string): number {
    this.total++;
    const count = (this.words.get(word) ?? 0) + 1;
    this.words.set(word, count);
    return count;
  }

  snapshot(): Pieces<Piece> {
    return inPieces(this.pieces());
  }

  /** What comes before the first piece is done at once, the rest while commands go on: of a view that stays as it is. */
  private *pieces(): Generator<Piece> {
    const view = this.words.snapshot();
    yield { total: this.total };
    yield* view;
  }

  /** All is read before anything is replaced: a damaged snapshot changes nothing. */
  async restore(pieces: Pieces<Piece>): Promise<void> {
    const words = new VersionedMap<string, number>();
    let total = 0;
    for await (const piece of pieces) {
      if ('total' in piece) total = piece.total;
      else words.set(...piece);
    }
    this.words = words;
    this.total = total;
  }
}

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const topic = await varlog.createTopic();
// Any store of objects will do: S3 with four methods of one's own.
const folder = await mkdtemp(join(tmpdir(), 'varlog-snapshots-'));
const snapshots = sharedSnapshots(objectDirectory(folder), 'word-counts');
const start = () =>
  startReplica({ machine: new WordCounts(), log: topic, snapshots, trimLog: true });

const one = await start();
const count = (words: number): Promise<unknown> =>
  Promise.all(Array.from({ length: words }, (_, i) => one.execute(`word ${i}`)));
await count(2_000);
console.log('counted', one.machine.total, 'words');

const [position] = await Promise.all([one.snapshot(), count(100)]);
console.log('kept a snapshot, and counted 100 more meanwhile');

await firstValueFrom(one.status$.pipe(filter((it) => it.trimmed?.position === position)));
const { first } = await topic.watermarks();
console.log('the log begins behind the snapshot:', first === position + 1);
await one.close();

const other = await start();
const total = await other.query((it) => it.total);
console.log('a new replica, which starts from it, has', total, 'words');
await other.close();
await rm(folder, { recursive: true });
