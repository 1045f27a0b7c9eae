import { Backoff, type Ports, sleep } from '../../base/index.ts';
import type { Catalog } from './catalog.ts';
import { isFinal } from './merged-reader.ts';

/**
 * Whose turn it is among replicas of which any would do: from one that is drawn on, the next at once where one fails, and
 * after all of them failed a pause, in which it is asked where they are by now.
 */
export class ReplicaTurns {
  /** How many have failed. */
  failures = 0;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly catalog: Catalog;
  private readonly backoff: Backoff;
  private readonly begin: number;

  constructor(
    { ports, catalog }: { ports: Pick<Ports, 'clock' | 'random'>; catalog: Catalog },
    pauseMs: { readonly first: number; readonly most: number },
  ) {
    this.ports = ports;
    this.catalog = catalog;
    this.backoff = new Backoff(ports.random, pauseMs.first, pauseMs.most);
    this.begin = ports.random.below(1024);
  }

  /** The `count` replicas whose turn it is: fewer where there are fewer. */
  next<Replica>(replicas: readonly Replica[], count: number): Replica[] {
    const first = this.begin + this.failures;
    const length = Math.min(count, replicas.length);
    return Array.from({ length }, (_, i) => replicas[(first + i) % replicas.length]!);
  }

  /** The one of `count` whose turn it was has failed. Rejects with what no later try would mend. */
  async failed(count: number, signal: AbortSignal): Promise<void> {
    this.failures++;
    if (this.failures % Math.max(1, count) !== 0) return;
    await sleep(this.ports.clock, this.backoff.nextMs(), signal);
    await this.catalog.renew({ signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
    });
  }
}
