import { callOnce, type Ports, type UnaryMethod } from '../../base/index.ts';

const NODE_CALL_TIMEOUT_MS = 2_000;

/**
 * Asks a node. Rejects when it does not answer in time, or is not of `cluster`; without one, whichever it is of: a
 * node that is new does not know.
 */
export function callNode<Request, Response>(
  ports: Ports,
  address: string,
  method: UnaryMethod<Request, Response>,
  request: Request,
  cluster?: string,
): Promise<Response> {
  const options = { cluster: () => cluster, timeoutMs: NODE_CALL_TIMEOUT_MS };
  return callOnce(ports.network, address, method, request, options);
}
