import { type Server, VarlogError } from '../base/index.ts';
import { GrpcNetwork, realRandom } from '../runtime/index.ts';

/** Below the ports that systems give to outgoing connections: Linux from 32,768 on, others from 49,152. */
const FIRST_PORT = 10_000;
const PORTS = 20_000;

/** Each call goes on after the one before, and begins somewhere else than a test in another process. */
let next = realRandom.below(PORTS);

/**
 * Addresses on loopback, as `host:port`, that nothing listens on. A server that is stopped and started again finds its
 * own address still free: neither an outgoing connection nor one of the next calls takes it.
 *
 * ```ts
 * const [address] = await freeAddresses(1);
 * ```
 */
export async function freeAddresses(count: number): Promise<string[]> {
  const network = new GrpcNetwork();
  const probes: Server[] = [];
  for (let tried = 0; probes.length < count && tried < PORTS; tried++) {
    const address = `127.0.0.1:${FIRST_PORT + next}`;
    next = (next + 1) % PORTS;
    try {
      probes.push(await network.serve(address, []));
    } catch (error) {
      if (!(error instanceof VarlogError && error.code === 'ADDRESS_IN_USE')) throw error;
    }
  }
  await Promise.all(probes.map((it) => it.close()));
  if (probes.length === count) return probes.map((it) => it.address);
  throw new VarlogError('ADDRESS_IN_USE', {
    what: `${count} ports are not free on 127.0.0.1 from ${FIRST_PORT} on`,
    next: 'end servers that are left over',
  });
}
