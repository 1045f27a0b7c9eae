import type { Channel, Network } from '../../base/index.ts';

/** One channel an address, made when it is first needed. */
export class ChannelPool {
  private readonly network: Network;
  private readonly channels = new Map<string, Channel>();
  /** Said with every call: whoever belongs to another cluster refuses it. */
  cluster: string | undefined;

  constructor(network: Network) {
    this.network = network;
  }

  to(address: string): Channel {
    let channel = this.channels.get(address);
    if (channel === undefined) {
      channel = this.network.connect(address, { cluster: () => this.cluster });
      this.channels.set(address, channel);
    }
    return channel;
  }

  close(): void {
    for (const channel of this.channels.values()) channel.close();
    this.channels.clear();
  }
}
