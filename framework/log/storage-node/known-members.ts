import { type Ports, reasonOf, VarlogError } from '../../base/index.ts';
import { jsonFormat, StateFile } from '../../store/index.ts';
import type { StorageNodeOptions } from './storage-node-options.ts';

const FILE = 'members';
/** Whose folder it is was looked at before. */
const LABEL = 'members of the metadata repository';

/** What the file holds. */
interface Value {
  readonly addresses: readonly string[];
}

/**
 * Where a storage node finds the metadata repository: at the addresses that it was started with, and at those that a
 * leader said last, which are remembered over a restart. So it follows members that are added, replaced or moved, although
 * its configuration names those of before. Where all of these say that they are of another cluster, its folder is at
 * the wrong place: then what it remembers is of no account.
 */
export class KnownMembers {
  private readonly file: StateFile<Value>;
  private readonly listed: readonly string[];
  private readonly logger: Ports['logger'];
  private announced: readonly string[];
  /** What was written last, as a text. */
  private written: string;
  /** Those that are of another cluster. */
  private readonly foreign = new Set<string>();

  private constructor(file: StateFile<Value>, listed: readonly string[], logger: Ports['logger']) {
    this.file = file;
    this.listed = listed;
    this.announced = file.value?.addresses ?? [];
    this.written = String(this.announced);
    this.logger = logger;
  }

  /** What is remembered in the node's folder. A file that cannot be read is as good as none. */
  static async open({
    ports,
    directory,
    metadataRepository,
  }: StorageNodeOptions): Promise<KnownMembers> {
    const { disk, logger } = ports;
    const path = `${directory}/${FILE}`;
    const open = () => StateFile.open(disk, path, LABEL, jsonFormat<Value>());
    const file = await open().catch(async (error: unknown) => {
      if (!VarlogError.is(error, 'CORRUPT')) throw error;
      logger.log('warn', 'the remembered members are forgotten', { error: error.message });
      await disk.remove(path);
      return open();
    });
    return new KnownMembers(file, metadataRepository, logger);
  }

  /** Each once. Never empty. */
  get addresses(): readonly string[] {
    if (this.listed.every((it) => this.foreign.has(it))) return this.listed;
    return [...new Set([...this.listed, ...this.announced])];
  }

  /** Who answers there is of another cluster. */
  isOfAnother(address: string): void {
    this.foreign.add(address);
  }

  /** A leader said where the members are. They are remembered soon; where that fails, they are told again. */
  learn(addresses: readonly string[]): void {
    if (addresses.length === 0) return;
    this.foreign.clear();
    this.announced = [...addresses];
    if (String(addresses) === this.written) return;
    this.written = String(addresses);
    this.file.write({ addresses }).catch((error: unknown) => {
      this.written = '';
      this.logger.log('warn', 'members not remembered', { error: reasonOf(error) });
    });
  }

  /** Resolves when nothing is being written any more. */
  settled(): Promise<void> {
    return this.file.settled();
  }
}
