import type { Channel, Network } from '../../base/index.ts';
import { ChannelPool } from '../channel-pool.ts';

/** The channels of a client, and the cluster that it has found. */
export class ClientChannels {
  /** Said with every call: whoever belongs to another cluster refuses it. */
  cluster: string | undefined;
  private readonly pool: ChannelPool;

  constructor(network: Network) {
    this.pool = new ChannelPool(network, () => this.cluster);
  }

  /** See {@link ChannelPool.to}. */
  to(address: string): Channel {
    return this.pool.to(address);
  }

  close(): void {
    this.pool.close();
  }
}
