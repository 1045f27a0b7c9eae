import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

type Change = (bytes: Buffer) => Buffer | undefined;

/** Stands between a client and a server, and changes or cuts what comes by. */
export class Between {
  /** What becomes of the bytes of a request, and of an answer: `undefined` cuts the connection. */
  up: Change = (it) => it;
  down: Change = (it) => it;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.server = createServer((client) => {
      const server = connect(Number(port), hostname);
      for (const it of [client, server]) {
        this.sockets.add(it);
        it.on('error', () => {});
        it.on('close', () => {
          this.sockets.delete(it);
          client.destroy();
          server.destroy();
        });
      }
      const pass = (from: Socket, to: Socket, change: () => Change): void => {
        from.on('data', (bytes) => {
          const changed = change()(bytes);
          if (changed === undefined) from.destroy();
          else if (!to.write(changed)) from.pause();
        });
        to.on('drain', () => from.resume());
      };
      pass(client, server, () => this.up);
      pass(server, client, () => this.down);
    });
  }

  static async open(target: string): Promise<Between> {
    const it = new Between(target);
    it.server.listen(0, '127.0.0.1');
    await once(it.server, 'listening');
    return it;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** How many sockets it has now, two for each connection. */
  get open(): number {
    return this.sockets.size;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const it of this.sockets) it.destroy();
    await closed;
  }
}
