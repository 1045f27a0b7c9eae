import type { Channel, Network } from '../../base/index.ts';

/** More than one, so that a log stream with much to fetch leaves the others room. */
const CHANNELS_PER_NODE = 4;

/**
 * The channels over which replicas here fetch from those of other storage nodes: a few for each node, however many log streams
 * follow one there. To connect, and to hang up, is a hundred times the work of asking once more.
 */
export class FetchChannels {
  private readonly network: Network;
  private readonly cluster: () => string | undefined;
  private readonly channels = new Map<string, Channel>();

  constructor(network: Network, cluster: () => string | undefined) {
    this.network = network;
    this.cluster = cluster;
  }

  /** The one that a log stream shares with others. It is not closed by whoever uses it. */
  to(address: string, logStreamId: number): Channel {
    const key = `${logStreamId % CHANNELS_PER_NODE} ${address}`;
    let channel = this.channels.get(key);
    if (channel === undefined) {
      channel = this.network.connect(address, { cluster: this.cluster });
      this.channels.set(key, channel);
    }
    return channel;
  }

  close(): void {
    for (const channel of this.channels.values()) channel.close();
    this.channels.clear();
  }
}
