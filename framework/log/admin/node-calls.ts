import type { Ports, UnaryMethod } from '../../base/index.ts';

const NODE_CALL_TIMEOUT_MS = 2_000;

/**
 * Asks a node. Rejects when it does not answer in time, or is not of `cluster`; without one, whichever it is of: a
 * node that is new does not know.
 */
export async function callNode<Request, Response>(
  ports: Ports,
  address: string,
  method: UnaryMethod<Request, Response>,
  request: Request,
  cluster?: string,
): Promise<Response> {
  const channel = ports.network.connect(address, { cluster: () => cluster });
  try {
    return await channel.call(method, request, { timeoutMs: NODE_CALL_TIMEOUT_MS });
  } finally {
    channel.close();
  }
}
