import type { Disk } from '../../base/index.ts';
import { jsonFormat, StateFile } from '../../store/index.ts';
import { type CheckpointOwner, type CheckpointStore, checkOwner } from './checkpoint-store.ts';

const NAME = 'checkpoint';
const LABEL = 'checkpoint of a consumer';
const REMEDY =
  'put back a copy of it; or remove it, and the consumer begins where "from" says, and takes again what it had done';

/** What the file holds. */
interface Stored extends CheckpointOwner {
  /** Absent until something was saved. */
  readonly position?: number;
}

/**
 * Keeps the checkpoint of one consumer in the root of a disk, replaced atomically. Between looking and writing another
 * process may write: that is no harm, because what any life has saved was done, and the cluster fences the older life.
 */
export class FileCheckpointStore implements CheckpointStore {
  private readonly disk: Disk;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  async open(owner: CheckpointOwner): Promise<{ position: number } | undefined> {
    const file = await this.file();
    const stored = file.value;
    if (stored !== undefined) checkOwner(stored, owner);
    const { position } = stored ?? {};
    await file.write(position === undefined ? owner : { ...owner, position });
    return position === undefined ? undefined : { position };
  }

  async save(owner: CheckpointOwner, position: number): Promise<void> {
    const file = await this.file();
    if (file.value !== undefined) checkOwner(file.value, owner);
    await file.write({ ...owner, position });
  }

  private async file(): Promise<StateFile<Stored>> {
    await this.disk.makeDirectory('.');
    return StateFile.open<Stored>(this.disk, NAME, LABEL, jsonFormat<Stored>(), REMEDY);
  }
}
