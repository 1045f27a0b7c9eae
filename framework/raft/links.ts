import type { Channel, Clock, Network } from '../base/index.ts';
import type { Configuration, Message } from './core/index.ts';
import type { RaftMethods } from './methods.ts';
import { PeerLink } from './peer-link.ts';

const QUEUED_BYTES_MAX = 16 * 1024 * 1024;

/**
 * The ways to the other members. Where one listens is said by the group's configuration; by the member itself, when
 * it introduces itself with the disk that the group knows it by; and by the list that this member was started with.
 * Where one of them leads to nobody, or to somebody else, the next one is tried: so members find each other again also
 * when all of them have moved.
 */
export class Links {
  private readonly options: {
    readonly clock: Clock;
    readonly network: Network;
    readonly method: RaftMethods['exchange'];
    readonly memberId: number;
    /** Where members listen by the list that this one was started with. */
    readonly listed: ReadonlyMap<number, string>;
    readonly helloFor: (
      member: number,
    ) => ReturnType<ConstructorParameters<typeof PeerLink>[0]['hello']>;
    /** Messages to a member were dropped. */
    readonly onLost: (member: number) => void;
    /** The connection to a member ended. */
    readonly onDisconnected: (member: number, error: unknown) => void;
  };
  private readonly links = new Map<number, PeerLink>();
  /** Where members listen by their own word. */
  private readonly announced = new Map<number, string>();
  /** Counts how often a member said that it is elsewhere than before. */
  moves = 0;
  private configuration: Configuration | undefined;
  private closed = false;

  constructor(options: Links['options']) {
    this.options = options;
  }

  /** Has a link to every member, and keeps those to others who are still spoken with. */
  connect(configuration: Configuration, keeps: (member: number) => boolean): void {
    const { addresses } = configuration;
    if (this.configuration === configuration && this.links.size < addresses.size) return;
    const moved = this.configuration !== configuration;
    this.configuration = configuration;
    for (const member of addresses.keys()) {
      if (member === this.options.memberId) continue;
      const [first] = this.addressesOf(member);
      if (moved || !this.links.has(member)) this.link(member, first!);
    }
    for (const [member, link] of this.links) {
      if (addresses.has(member) || keeps(member)) continue;
      link.close();
      this.links.delete(member);
      this.announced.delete(member);
    }
  }

  /** A member that the group knows by its disk says where it listens. */
  met(member: number, address: string): void {
    if (this.announced.get(member) !== address) this.moves++;
    this.announced.set(member, address);
    this.link(member, address);
  }

  /** Members that have said to be elsewhere than the configuration says, and this one if it is. */
  movedFrom({ addresses }: Configuration, own: string): Map<number, string> {
    const now = new Map([...this.announced, [this.options.memberId, own] as const]);
    return new Map(
      [...now].filter(([member, address]) => (addresses.get(member) ?? address) !== address),
    );
  }

  isOpen(member: number): boolean {
    return this.links.get(member)?.isOpen === true;
  }

  channelTo(member: number): Channel | undefined {
    return this.links.get(member)?.channel;
  }

  post(message: Message): void {
    this.links.get(message.to)?.post(message);
  }

  flush(): void {
    for (const link of this.links.values()) link.flush();
  }

  close(): void {
    this.closed = true;
    for (const link of this.links.values()) link.close();
  }

  /** The newest knowledge first. */
  private addressesOf(member: number): string[] {
    const known = [
      this.announced.get(member),
      this.configuration?.addresses.get(member),
      this.options.listed.get(member),
    ];
    return [...new Set(known.filter((it) => it !== undefined))];
  }

  private link(member: number, address: string): void {
    const known = this.links.get(member);
    if (known?.channel.address === address) return;
    known?.close();
    const { clock, network, method, helloFor, onLost, onDisconnected } = this.options;
    const link = new PeerLink({
      clock,
      channel: network.connect(address),
      method,
      hello: () => helloFor(member),
      queuedBytesMax: QUEUED_BYTES_MAX,
      onLost: () => onLost(member),
      onDisconnected: (error) => {
        this.tryNext(member, address);
        onDisconnected(member, error);
      },
    });
    this.links.set(member, link);
  }

  private tryNext(member: number, address: string): void {
    if (this.closed) return;
    const all = this.addressesOf(member);
    const next = all[(all.indexOf(address) + 1) % all.length];
    if (next !== undefined) this.link(member, next);
  }
}
