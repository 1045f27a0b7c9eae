import { type FolderFacts, inTime, type Ports, reasonOf, VarlogError } from '../../base/index.ts';

/** Whoever asks waits so long for a disk that may hang, and hears then what was known before. */
const WAIT_MS = 200;

/** What the disk says of folders, asked anew whenever somebody wants to know: of each once at a time. */
export class KnownFolders {
  private readonly ports: Ports;
  private readonly known = new Map<string, FolderFacts>();
  private readonly asking = new Map<string, Promise<void>>();

  constructor(ports: Ports) {
    this.ports = ports;
  }

  /** By the names that they are asked for; without those of which nothing is known. */
  async inspect(directories: readonly string[]): Promise<ReadonlyMap<string, FolderFacts>> {
    const asked = Promise.all(directories.map((it) => this.asking.get(it) ?? this.ask(it)));
    const late = new VarlogError('TIMEOUT', { what: 'the disk does not answer' });
    await inTime(
      this.ports.clock,
      WAIT_MS,
      undefined,
      () => asked,
      () => late,
    ).catch((error: unknown) => {
      if (error !== late) throw error;
    });
    return this.known;
  }

  private ask(directory: string): Promise<void> {
    const { disk, logger } = this.ports;
    const answer = disk
      .inspect(directory)
      .then(
        (facts) => {
          this.known.set(directory, facts);
        },
        (error: unknown) => {
          this.known.delete(directory);
          logger.log('debug', 'a folder was not inspected', { directory, error: reasonOf(error) });
        },
      )
      .finally(() => this.asking.delete(directory));
    this.asking.set(directory, answer);
    return answer;
  }
}
