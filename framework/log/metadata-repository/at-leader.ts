import { callOnce, type Handler, handler, type UnaryMethod } from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { notLeader } from './repository-errors.ts';

/**
 * Serves a call for which it takes what only the leader knows: what storage nodes report. Any other
 * member passes it on, and waits for `timeoutOf` the request.
 */
export function atLeader<Request, Response>(
  repository: RepositoryAccess,
  method: UnaryMethod<Request, Response>,
  work: (request: Request, signal: AbortSignal) => Promise<Response>,
  timeoutOf: (request: Request) => number = () => LOG_TIMES.callTimeoutMs,
): Handler {
  const { ports, memberId } = repository.options;
  return handler(method, async (request, { signal }) => {
    const mayLead = (): boolean => (repository.status.leader?.id ?? memberId) === memberId;
    // While there is none, or this member was just elected, as right after the start, one is waited for.
    if (repository.orderer === undefined && mayLead()) await repository.read(() => {}, { signal });
    if (repository.orderer !== undefined) return work(request, signal);
    const { leader } = repository.status;
    if (leader === undefined || leader.id === memberId) throw notLeader(undefined);
    return callOnce(ports.network, leader.address, method, request, {
      cluster: () => repository.cluster,
      signal,
      timeoutMs: timeoutOf(request),
    });
  });
}
