import type { Operation, Replies, Requests } from './calls.ts';
import type { KvService } from './service.ts';

/** The store's operations, as they are called over gRPC. */
export type Operations = {
  [K in Operation]: (request: Requests[K]) => Promise<Omit<Replies[K], 'log'>>;
};

export function operationsOf(service: KvService): Operations {
  return {
    put: (it) => service.put(it.key, it.value, once(it)),
    delete: (it) => service.delete(it.key, once(it)),
    compareAndSet: ({ log, ...it }) => {
      const options = { ...once(it), ...(log !== '' && { log }) };
      return service.compareAndSet(it.key, it.expected, it.value, options);
    },
    get: async ({ key, stale }) => {
      const found = await service.get(key, { stale });
      return { found: found !== undefined, ...found };
    },
    list: ({ prefix, stale }) => service.list(prefix, { stale }),
  };
}

function once({ requestId }: { requestId: string }): { requestId?: string } {
  return requestId === '' ? {} : { requestId };
}
