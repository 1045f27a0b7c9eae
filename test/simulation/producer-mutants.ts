import { type Admission, ProducerTable } from '../../framework/log/core/index.ts';
import { ProducerFile } from '../../framework/log/storage-node/producer-file.ts';
import { LogStreamReplica } from '../../framework/log/storage-node/replica.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** What a table keeps to itself. */
interface Inside {
  known: Map<number, unknown>;
}

const inside = (table: ProducerTable): Inside => table as unknown as Inside;

/** Has the answer to a batch changed. */
function answers(change: (found: Admission) => Admission): () => void {
  const { admit } = ProducerTable.prototype;
  return replace(ProducerTable.prototype, 'admit', function (this: ProducerTable, ...batch) {
    return change(admit.apply(this, batch));
  });
}

/** Ways to take a batch twice, or to say something wrong of it: each breaks it for everybody until what it returns is called. */
export const PRODUCER_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'the table is lost with the process': () => {
    const { open } = ProducerFile;
    return replace(ProducerFile, 'open', async (...options) => {
      const producers = await open.apply(ProducerFile, options);
      inside(producers.table).known.clear();
      return producers;
    });
  },
  'the records behind the file are not looked at': () => {
    const { open } = ProducerFile;
    const { note } = ProducerTable.prototype;
    const opened = new WeakSet<ProducerTable>();
    const undoNote = replace(
      ProducerTable.prototype,
      'note',
      function (this: ProducerTable, batch) {
        if (opened.has(this)) note.call(this, batch);
      },
    );
    const undoOpen = replace(ProducerFile, 'open', async (...options) => {
      const producers = await open.apply(ProducerFile, options);
      opened.add(producers.table);
      return producers;
    });
    return () => {
      undoOpen();
      undoNote();
    };
  },
  'the table is lost when another replica becomes the primary': () => {
    const { roleChanged } = LogStreamReplica.prototype;
    return replace(LogStreamReplica.prototype, 'roleChanged', function (this: LogStreamReplica) {
      inside(this.storage.producers.table).known.clear();
      roleChanged.call(this);
    });
  },
  'records are trimmed before the file stands for them': () =>
    replace(ProducerFile.prototype, 'isNeededBelow', () => false),
  'epochs are not looked at': () =>
    answers((found) => (found.kind === 'fenced' ? { kind: 'new' } : found)),
  'a batch may overtake those before it': () =>
    answers((found) => (found.kind === 'gap' ? { kind: 'new' } : found)),
  'a repeated batch is said to be where it is not': () =>
    answers((found) =>
      found.kind === 'duplicate' && found.glsn !== undefined
        ? { ...found, glsn: found.glsn + 1 }
        : found,
    ),
  'who was forgotten is taken for new': () =>
    answers((found) => (found.kind === 'forgotten' ? { kind: 'new' } : found)),
  'what is cut off is remembered': () => replace(ProducerTable.prototype, 'cut', () => {}),
};
