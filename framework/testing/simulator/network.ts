import {
  type Channel,
  type Clock,
  type DialOptions,
  type Handler,
  type Network,
  type Server,
  VarlogError,
} from '../../base/index.ts';
import { type Dial, SimulatedChannel } from './network-channel.ts';
import { ConnectionEnd, type Medium } from './network-connection.ts';
import { GOOD_LINKS, type LinkQuality, Links } from './network-links.ts';
import { ServerConnection } from './network-server.ts';
import type { ProcessLife } from './process-life.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** One may ask for an address that nobody answers for so long. */
const CONNECT_TIMEOUT_MS = 5_000;
const CONNECT_AGAIN_MS = 1_000;
const FIRST_EPHEMERAL_PORT = 49_152;
const WINDOW_BYTES = 256 * 1024;
const OWN_NAMES = new Set(['localhost', '127.0.0.1', '0.0.0.0', '[::]', '[::1]']);

interface Listener {
  readonly processLife: ProcessLife;
  accept(end: ConnectionEnd, peer: string): void;
}

interface Host {
  up: boolean;
  readonly listeners: Map<number, Listener>;
  readonly ends: Set<ConnectionEnd>;
  nextPort: number;
}

export interface SimulatedNetworkOptions {
  scheduler: Scheduler;
  random: SeededRandom;
  trace: Trace;
  quality?: Partial<LinkQuality>;
  /** Undelivered bytes of a stream from which on `send` returns false. Default 256 KiB. */
  windowBytes?: number;
}

/**
 * The network between simulated hosts. Each process gets its own face of it, on which a host's name
 * is the host part of its address.
 */
export class SimulatedNetwork {
  readonly links: Links;
  private readonly medium: Medium;
  private readonly windowBytes: number;
  private readonly hosts = new Map<string, Host>();

  constructor({ scheduler, random, trace, quality, windowBytes }: SimulatedNetworkOptions) {
    this.links = new Links(scheduler, random, { ...GOOD_LINKS, ...quality });
    this.windowBytes = windowBytes ?? WINDOW_BYTES;
    const isUp = (host: string): boolean => this.hosts.get(host)?.up === true;
    this.medium = { scheduler, trace, links: this.links, isUp };
  }

  /** The network as one life of a process sees it. */
  join(processLife: ProcessLife, clock: Clock): Network {
    this.host(processLife.host).up = true;
    return {
      serve: async (address, handlers) => this.serve(processLife, address, handlers),
      connect: (address, options) => this.channel(processLife, clock, address, options),
    };
  }

  /**
   * The process of a host has died, and the machine too with `machineToo`: then nobody is told, and
   * nobody answers there until a process joins again.
   */
  leave(hostName: string, machineToo: boolean): void {
    const host = this.host(hostName);
    host.listeners.clear();
    for (const end of [...host.ends]) end.abandon(machineToo);
    host.ends.clear();
    host.up = !machineToo;
  }

  private host(name: string): Host {
    let host = this.hosts.get(name);
    if (host === undefined) {
      host = { up: false, listeners: new Map(), ends: new Set(), nextPort: FIRST_EPHEMERAL_PORT };
      this.hosts.set(name, host);
    }
    return host;
  }

  private serve(processLife: ProcessLife, address: string, handlers: readonly Handler[]): Server {
    const { hostName, port: asked } = parse(address);
    if (hostName !== processLife.host && !OWN_NAMES.has(hostName))
      throw notHere(address, processLife);
    const host = this.host(processLife.host);
    const port = asked === 0 ? host.nextPort++ : asked;
    if (host.listeners.has(port)) {
      throw new VarlogError('ADDRESS_IN_USE', {
        what: `something listens on ${address} already`,
        next: 'stop it, or choose another port',
        details: { address },
      });
    }
    const byPath = new Map(handlers.map((it) => [it.method.path, it]));
    const connections = new Set<ServerConnection>();
    const listener: Listener = {
      processLife,
      accept: (end, peer) => {
        const connection: ServerConnection = new ServerConnection({
          end,
          handlers: byPath,
          peer,
          windowBytes: this.windowBytes,
          onGone: () => connections.delete(connection),
        });
        connections.add(connection);
      },
    };
    host.listeners.set(port, listener);
    return {
      address: `${hostName}:${port}`,
      add: (more) => {
        for (const it of more) byPath.set(it.method.path, it);
      },
      remove: (gone) => {
        for (const it of gone) byPath.delete(it.method.path);
      },
      close: async () => {
        if (host.listeners.get(port) === listener) host.listeners.delete(port);
        for (const connection of [...connections]) connection.close();
      },
    };
  }

  private channel(
    processLife: ProcessLife,
    clock: Clock,
    address: string,
    { cluster = () => undefined }: DialOptions = {},
  ): Channel {
    const dial: Dial = (to, opened, failed) => this.dial(processLife, to, opened, failed);
    const { windowBytes } = this;
    return new SimulatedChannel({ address, clock, dial, windowBytes, cluster });
  }

  private dial(
    processLife: ProcessLife,
    address: string,
    opened: (end: ConnectionEnd) => void,
    failed: (because: string) => void,
  ): void {
    const { scheduler } = this.medium;
    let over = false;
    const finish = (act: () => void): void => {
      if (over) return;
      over = true;
      timeout.cancel();
      processLife.run(act);
    };
    const timeout = scheduler.after(CONNECT_TIMEOUT_MS, () =>
      finish(() => failed(`no answer in ${CONNECT_TIMEOUT_MS} ms`)),
    );
    const attempt = (): void => {
      if (over) return;
      scheduler.after(this.links.delayMs(0), () => {
        if (over || processLife.dead) return;
        const answer = this.answer(processLife, address);
        if (answer === undefined) {
          scheduler.after(CONNECT_AGAIN_MS, attempt);
          return;
        }
        scheduler.after(this.links.delayMs(0), () =>
          finish(() => (typeof answer === 'string' ? failed(answer) : opened(answer))),
        );
      });
    };
    attempt();
  }

  /** What an attempt to connect brings: a connection, a refusal, or nothing at all. */
  private answer(from: ProcessLife, address: string): ConnectionEnd | string | undefined {
    let hostName: string;
    let port: number;
    try {
      ({ hostName, port } = parse(address));
    } catch {
      return 'this is no address';
    }
    const to = OWN_NAMES.has(hostName) ? from.host : hostName;
    const host = this.hosts.get(to);
    if (host === undefined) return 'no such host';
    const blocked = this.links.isBlocked(from.host, to) || this.links.isBlocked(to, from.host);
    if (blocked || !host.up) return undefined;
    const listener = host.listeners.get(port);
    if (listener === undefined || this.links.refuses()) return `connect ECONNREFUSED ${address}`;
    const [near, far] = ConnectionEnd.pair(this.medium, from, listener.processLife);
    const own = this.host(from.host);
    keep(own, near);
    keep(host, far);
    listener.accept(far, `${from.host}:${own.nextPort++}`);
    return near;
  }
}

function keep(host: Host, end: ConnectionEnd): void {
  host.ends.add(end);
  end.onOver = () => host.ends.delete(end);
}

function parse(address: string): { hostName: string; port: number } {
  const [, hostName, port] = /^(\[[\da-fA-F:.%]+\]|[^:[\]/\s]+):(\d{1,5})$/.exec(address) ?? [];
  if (hostName !== undefined && Number(port) < 65_536) return { hostName, port: Number(port) };
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${address}" is not an address to listen on`,
    next: 'give host:port, for example node-1:9092',
    details: { address },
  });
}

function notHere(address: string, { host }: ProcessLife): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `cannot listen on ${address}`,
    because: `this is host ${host}`,
    next: `give ${host}:port`,
    details: { address },
  });
}
