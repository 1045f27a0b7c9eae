import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { onlyReads } from '../transaction.ts';
import type { EtcdContext } from './etcd-context.ts';
import { refused } from './etcd-error.ts';
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from './messages.ts';
import { checkRange, checkTransaction } from './request-check.ts';
import { unary } from './unary.ts';

/** Service `etcdserverpb.KV`. Every write is a transaction, and what only reads does not go into the log. */
export function keyValueMethods(context: EtcdContext): UntypedServiceImplementation {
  const { service, header } = context;

  const write = async (request: TxnRequest): Promise<TxnResponse> => {
    checkTransaction(request);
    const { txn, revision } = await context.perform({ op: 'transact', request });
    return { ...txn!, header: header(revision) };
  };
  /** The answer to a single operation. */
  const single = async (op: RequestOp): Promise<[ResponseOp, ResponseHeader | undefined]> => {
    const { responses, header: own } = await write({ compare: [], success: [op], failure: [] });
    return [responses[0]!, own];
  };

  const range = (request: RangeRequest): Promise<RangeResponse> => {
    checkRange(request);
    return service.read(
      (machine) => ({ ...machine.read(request), header: header(machine.revision) }),
      { stale: request.serializable },
    );
  };
  const put = async (requestPut: PutRequest): Promise<PutResponse> => {
    const [response, own] = await single({ request: 'requestPut', requestPut });
    return { ...(response as { responsePut: PutResponse }).responsePut, header: own! };
  };
  const remove = async (requestDeleteRange: DeleteRangeRequest): Promise<DeleteRangeResponse> => {
    const [response, own] = await single({ request: 'requestDeleteRange', requestDeleteRange });
    const { responseDeleteRange } = response as { responseDeleteRange: DeleteRangeResponse };
    return { ...responseDeleteRange, header: own! };
  };
  const transact = (request: TxnRequest): Promise<TxnResponse> => {
    if (!onlyReads(request)) return write(request);
    checkTransaction(request);
    return service.read(
      (machine) => ({ ...machine.look(request), header: header(machine.revision) }),
      { stale: isSerializable(request) },
    );
  };

  return {
    Range: unary(range),
    Put: unary(put),
    DeleteRange: unary(remove),
    Txn: unary(transact),
    Compact: unary(async ({ revision }: { revision: number }) => {
      // Stored, a number below zero would be one that is ahead.
      if (revision < 0) throw refused('compacted');
      const { revision: now } = await context.perform({ op: 'compact', revision });
      return { header: header(now) };
    }),
  };
}

/** Whether all that is read may be stale. What a transaction only compares is as new as what it reads for certain. */
function isSerializable({ success, failure }: TxnRequest): boolean {
  const ops = [...success, ...failure];
  return (
    ops.length > 0 &&
    ops.every((op) =>
      op.request === 'requestTxn'
        ? isSerializable(op.requestTxn)
        : op.request === 'requestRange' && op.requestRange.serializable,
    )
  );
}
