import type { Disk, Ports } from '../base/index.ts';
import { Varlog } from '../log/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../runtime/index.ts';
import { freeAddresses, SimulatedDisk } from '../testing/index.ts';
import { resolveConfig } from './config.ts';
import { startNode, type VarlogNode } from './start-node.ts';

type Operation = Parameters<NonNullable<SimulatedDisk['faults']['fail']>>[0];

/** What a test has to close, the last first. */
export const closers: (() => Promise<void>)[] = [];

export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** A node with real servers, on a disk in memory where no other one is given. */
export class Observed {
  readonly disk = new SimulatedDisk({ random: realRandom, clock: realClock() });
  node!: VarlogNode;
  address!: string;

  static async start(flags: Record<string, string> = {}, disk?: Disk): Promise<Observed> {
    const observed = new Observed();
    const [address, http] = await freeAddresses(2);
    const ports: Ports = {
      clock: realClock(),
      random: realRandom,
      disk: disk ?? observed.disk,
      network: new GrpcNetwork(),
      logger: { log: () => {} },
    };
    const config = resolveConfig({ flags: { listen: address!, http: http!, ...flags } });
    observed.node = await startNode(config, ports);
    observed.address = address!;
    closers.push(() => observed.node.close());
    return observed;
  }

  async page(path: string): Promise<{ status: number; text: string }> {
    const reply = await fetch(`http://${this.node.httpAddress}${path}`);
    return { status: reply.status, text: await reply.text() };
  }

  /** All values of one metric, as they stand in the text. */
  async metric(name: string): Promise<string[]> {
    const { text } = await this.page('/metrics');
    return text.split('\n').filter((it) => new RegExp(`^varlog_${name}[ {]`).test(it));
  }

  async connect(): Promise<Varlog> {
    const varlog = await Varlog.connect({ endpoints: this.address });
    closers.push(() => varlog.close());
    await varlog.ready({ storageNodes: 1 });
    return varlog;
  }

  /** Writes to files whose path has `part` fail from now on. */
  fails(part: string, code: 'EIO' | 'ENOSPC'): void {
    this.disk.faults = { fail: (it) => (isWrite(it, part) ? code : undefined) };
  }

  /** They take so long from now on. */
  slows(part: string, ms: number): void {
    this.disk.faults = { latencyMs: (it) => (isWrite(it, part) ? ms : 0) };
  }
}

const isWrite = ({ kind, path }: Operation, part: string): boolean =>
  (kind === 'sync' || kind === 'write') && path.includes(part);

/** Tries until it succeeds; rejects with the last error when the time is up. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const until = Date.now() + 15_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
