import type { CallOptions, DialOptions, Network, UnaryMethod } from './network.ts';

/** One call over a channel of its own, for those who ask an address now and then. Rejects as {@link Channel.call} does. */
export async function callOnce<Request, Response>(
  network: Pick<Network, 'connect'>,
  address: string,
  method: UnaryMethod<Request, Response>,
  request: Request,
  { cluster, ...options }: CallOptions & DialOptions,
): Promise<Response> {
  const channel = network.connect(address, cluster === undefined ? {} : { cluster });
  try {
    return await channel.call(method, request, options);
  } finally {
    channel.close();
  }
}
