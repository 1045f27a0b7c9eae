import type {
  BidiMethod,
  CallOptions,
  Channel,
  MessageStream,
  Network,
  ServerStreamMethod,
  UnaryMethod,
} from '../base/index.ts';

/**
 * So many channels stay open over which nothing is under way. Nodes come back at the same addresses mostly; those that do not
 * must not be kept for ever.
 */
export const IDLE_CHANNELS_MAX = 64;

/**
 * One channel an address, made when it is first needed. To connect, and to hang up, is a hundred times the work of asking
 * once more, so channels stay open; but of those over which nothing is under way only the ones that were used last.
 */
export class ChannelPool {
  private readonly network: Network;
  private readonly cluster: () => string | undefined;
  /** Least recently used first. */
  private readonly channels = new Map<string, PooledChannel>();

  /** `cluster`: said with every call, so that whoever belongs to another one refuses it. */
  constructor(network: Network, cluster: () => string | undefined) {
    this.network = network;
    this.cluster = cluster;
  }

  /**
   * To be asked for anew for every call, and not closed by whoever uses it. Calls with different `lane`s share no connection:
   * one with much to transfer leaves the others room.
   */
  to(address: string, lane = 0): Channel {
    const key = `${lane} ${address}`;
    const known = this.channels.get(key);
    const channel =
      known ?? new PooledChannel(this.network.connect(address, { cluster: this.cluster }));
    this.channels.delete(key);
    this.channels.set(key, channel);
    if (known === undefined) this.closeIdle(channel);
    return channel;
  }

  close(): void {
    for (const channel of this.channels.values()) channel.close();
    this.channels.clear();
  }

  /** `kept`: it is about to be used. */
  private closeIdle(kept: Channel): void {
    const idle = [...this.channels].filter(([, it]) => it.isIdle && it !== kept);
    for (const [key, channel] of idle.slice(0, Math.max(0, idle.length - IDLE_CHANNELS_MAX))) {
      channel.close();
      this.channels.delete(key);
    }
  }
}

/** A channel that knows whether it is in use. */
class PooledChannel implements Channel {
  private readonly channel: Channel;
  private underWay = 0;

  constructor(channel: Channel) {
    this.channel = channel;
  }

  get address(): string {
    return this.channel.address;
  }

  get isIdle(): boolean {
    return this.underWay === 0;
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response> {
    const answer = this.channel.call(method, request, options);
    this.until(answer);
    return answer;
  }

  subscribe<Request, Response>(
    method: ServerStreamMethod<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): MessageStream<never, Response> {
    const stream = this.channel.subscribe(method, request, options);
    this.until(stream.closed);
    return stream;
  }

  open<Request, Response>(
    method: BidiMethod<Request, Response>,
    options?: CallOptions,
  ): MessageStream<Request, Response> {
    const stream = this.channel.open(method, options);
    this.until(stream.closed);
    return stream;
  }

  close(): void {
    this.channel.close();
  }

  private until(end: Promise<unknown>): void {
    this.underWay++;
    const ended = (): void => {
      this.underWay--;
    };
    end.then(ended, ended);
  }
}
