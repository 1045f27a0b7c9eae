import type { Ports, Timer } from '../../base/index.ts';

const LOOK_EVERY_MS = { least: 1_000, most: 3_600_000 };
const KEEP_MS = 24 * 3_600_000;
const UNFIT = '.unfit';
const EXPIRED = '.expired';

/**
 * Where replicas go that were taken away from a node: `trash/<log stream>.<milliseconds since 1970>`. They are brought
 * back when the log stream is assigned to the node again, and deleted when they have been here for long enough: while that goes
 * on, their name ends with `.expired`.
 */
export class Trash {
  private readonly ports: Ports;
  private readonly directory: string;
  private readonly keepMs: number;
  private timer: Timer | undefined;
  private closed = false;
  private count = 0;

  private constructor(ports: Ports, directory: string, keepMs: number) {
    this.ports = ports;
    this.directory = directory;
    this.keepMs = keepMs;
  }

  /** The trash of the node whose folder is `directory`; what was there for longer than `keepMs` is deleted. */
  static async open(ports: Ports, directory: string, keepMs = KEEP_MS): Promise<Trash> {
    const trash = new Trash(ports, directory, keepMs);
    await trash.tryToEmpty();
    trash.lookLater();
    return trash;
  }

  /**
   * Moves a replica here, durably. Nothing happens where the node has none. One that is `unfit` is
   * kept for people to look at, and never brought back.
   */
  async put(logStreamId: number, unfit = false): Promise<void> {
    const { disk, clock, logger } = this.ports;
    const replicas = `${this.directory}/replicas`;
    if (!(await disk.list(replicas)).includes(String(logStreamId))) return;
    await disk.makeDirectory(this.path);
    const name = `${logStreamId}.${clock.wall()}${unfit ? UNFIT : ''}`;
    await disk.rename(`${replicas}/${logStreamId}`, `${this.path}/${name}`);
    await disk.syncDirectory(this.path);
    await disk.syncDirectory(replicas);
    this.count++;
    const what = unfit
      ? 'the files of a failed replica were put aside'
      : 'a replica was taken away';
    logger.log('info', what, { logStream: logStreamId, kept: name });
  }

  /** Removes a replica that holds nothing which others do not hold. */
  discard(logStreamId: number): Promise<void> {
    return this.ports.disk.remove(`${this.directory}/replicas/${logStreamId}`);
  }

  /** Moves the newest replica of a log stream back, durably, where the node has none. */
  async bringBack(logStreamId: number): Promise<void> {
    const { disk, logger } = this.ports;
    const replicas = `${this.directory}/replicas`;
    // Its own folder, and not that of all: with many replicas each would look at all of them.
    if ((await disk.list(`${replicas}/${logStreamId}`)).length > 0) return;
    const name = (await this.list()).findLast(
      ({ name: it, ...of }) =>
        of.logStreamId === logStreamId && !it.endsWith(UNFIT) && !it.endsWith(EXPIRED),
    )?.name;
    if (name === undefined) return;
    await disk.rename(`${this.path}/${name}`, `${replicas}/${logStreamId}`);
    await disk.syncDirectory(replicas);
    await disk.syncDirectory(this.path);
    this.count--;
    logger.log('info', 'a replica was brought back', { logStream: logStreamId, from: name });
  }

  /** What is here, the oldest first. */
  async list(): Promise<{ name: string; logStreamId: number; since: number }[]> {
    const names = await this.ports.disk.list(this.path);
    return names
      .map((name) => {
        const [logStreamId, since] = name.split('.').map(Number);
        return { name, logStreamId: logStreamId!, since: since! };
      })
      .filter((it) => Number.isSafeInteger(it.logStreamId) && Number.isSafeInteger(it.since))
      .sort((a, b) => a.since - b.since);
  }

  /** How many replicas are here. */
  get size(): number {
    return this.count;
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private get path(): string {
    return `${this.directory}/trash`;
  }

  private async empty(): Promise<void> {
    const { disk, clock, logger } = this.ports;
    const all = await this.list();
    this.count = all.length;
    for (const { name, since } of all) {
      const isBegun = name.endsWith(EXPIRED);
      if (!isBegun && clock.wall() - since < this.keepMs) continue;
      // Deleting takes many steps: what is left of it in between is nothing to be brought back.
      const expired = isBegun ? name : `${name}${EXPIRED}`;
      if (!isBegun) {
        await disk.rename(`${this.path}/${name}`, `${this.path}/${expired}`);
        await disk.syncDirectory(this.path);
      }
      await disk.remove(`${this.path}/${expired}`);
      this.count--;
      logger.log('info', 'a replica was deleted from the trash', { name });
    }
  }

  /** What cannot be deleted now is kept for longer: nothing else is to fail because of it. */
  private tryToEmpty(): Promise<void> {
    const { logger } = this.ports;
    return this.empty().catch((error: unknown) => {
      logger.log('warn', 'the trash cannot be emptied', { error: String(error) });
    });
  }

  private lookLater(): void {
    if (this.closed) return;
    const { clock } = this.ports;
    const { least, most } = LOOK_EVERY_MS;
    this.timer = clock.after(Math.max(least, Math.min(most, this.keepMs)), () => {
      void this.tryToEmpty().then(() => this.lookLater());
    });
  }
}
