import {
  type BidiMethod,
  type Channel,
  type Clock,
  type Codec,
  type DialOptions,
  type Handler,
  handler,
  type MessageStream,
  type Network,
  type Server,
  type ServerStreamMethod,
  type UnaryMethod,
  VarlogError,
} from '../../base/index.ts';
import type { Closable } from './contract.ts';

/** A network to be tested. */
export interface NetworkUnderTest extends Closable {
  readonly clock: Clock;
  /** Where servers are made. */
  readonly serverSide: Network;
  /** Where calls come from; may be the same. */
  readonly clientSide: Network;
  /** Where a server can listen: `host:port`, the port may be 0. */
  readonly address: string;
  /** A good address at which nothing listens. */
  readonly deadAddress: string;
  /** Runs a scenario; where time is virtual, moves it until the scenario has ended. */
  run(scenario: () => Promise<void>): Promise<void>;
}

const json: Codec<string> = {
  encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)) as string,
};
/** Refuses what carries this mark, as a codec refuses bytes of another protocol. */
const picky: Codec<string> = {
  encode: json.encode,
  decode: (bytes) => {
    const value = json.decode(bytes);
    if (value === 'undecodable') {
      throw new VarlogError('INVALID_ARGUMENT', { what: 'these bytes are no message' });
    }
    return value;
  },
};
const shape = { request: picky, response: picky };
export const ask: UnaryMethod<string, string> = {
  kind: 'unary',
  path: '/contract.Test/Ask',
  ...shape,
};
export const other: UnaryMethod<string, string> = {
  kind: 'unary',
  path: '/contract.Other/Ask',
  ...shape,
};
export const list: ServerStreamMethod<string, string> = {
  kind: 'serverStream',
  path: '/contract.Test/List',
  ...shape,
};
export const talk: BidiMethod<string, string> = {
  kind: 'bidi',
  path: '/contract.Test/Talk',
  ...shape,
};

/** What a scenario gets: servers and channels that are closed after it. */
export class Stage {
  readonly subject: NetworkUnderTest;
  private readonly closers: (() => unknown)[] = [];

  constructor(subject: NetworkUnderTest) {
    this.subject = subject;
  }

  async serve(...handlers: Handler[]): Promise<Channel> {
    const server = await this.server(this.subject.address, handlers);
    return this.connect(server.address);
  }

  async server(address: string, handlers: Handler[]): Promise<Server> {
    const server = await this.subject.serverSide.serve(address, handlers);
    this.closers.push(() => server.close());
    return server;
  }

  connect(address: string, options?: DialOptions): Channel {
    const channel = this.subject.clientSide.connect(address, options);
    this.closers.push(() => channel.close());
    return channel;
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }
}

/** A promise to be settled from elsewhere. */
export interface Gate<T> {
  readonly promise: Promise<T>;
  open(value: T): void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** All messages of a stream, once it has ended. */
export async function collect(stream: MessageStream<never, string>): Promise<string[]> {
  const got: string[] = [];
  stream.receive((message) => {
    got.push(message);
  });
  await stream.closed;
  return got;
}

export const forever = (): Promise<never> => new Promise(() => {});
export const echo = handler(talk, (stream) => {
  stream.receive((message) => {
    stream.send(message);
  });
  return stream.closed;
});

export type Play = (stage: Stage) => Promise<void>;
export type Scenario = (title: string, play: Play) => void;
