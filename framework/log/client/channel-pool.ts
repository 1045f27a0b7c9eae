import type { Channel, Network } from '../../base/index.ts';

/** One channel an address, made when it is first needed. */
export class ChannelPool {
  private readonly network: Network;
  private readonly channels = new Map<string, Channel>();

  constructor(network: Network) {
    this.network = network;
  }

  to(address: string): Channel {
    let channel = this.channels.get(address);
    if (channel === undefined) {
      channel = this.network.connect(address);
      this.channels.set(address, channel);
    }
    return channel;
  }

  close(): void {
    for (const channel of this.channels.values()) channel.close();
    this.channels.clear();
  }
}
