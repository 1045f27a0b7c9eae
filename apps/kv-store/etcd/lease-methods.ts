import {
  type handleBidiStreamingCall,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { bytesOfKey } from '../key.ts';
import type { EtcdContext } from './etcd-context.ts';
import { EtcdError, etcdStatusOf, refused } from './etcd-error.ts';
import type { ResponseHeader } from './messages.ts';
import { checkLease } from './request-check.ts';
import { unary } from './unary.ts';

/** In seconds, as etcd has it: some 285 years. */
const TTL_MAX = 9_000_000_000;
const TTL_MIN = 1;
/** A stream with more requests under way is not listened to until some are answered. */
const UNDER_WAY_MAX = 1_000;

interface KeptAlive {
  readonly header: ResponseHeader;
  readonly ID: number;
  /** 0: there is no such lease. */
  readonly TTL: number;
}

/** Service `etcdserverpb.Lease`. Everything that keeps a lease alive goes through the log: all replicas end it alike. */
export function leaseMethods(context: EtcdContext): UntypedServiceImplementation {
  const { service, header, perform } = context;

  const grant = async ({ ID: wished, TTL }: { ID: number; TTL: number }) => {
    checkLease(wished);
    if (TTL > TTL_MAX) throw new EtcdError(status.OUT_OF_RANGE, 'too large lease TTL');
    const ID = wished === 0 ? context.newLease() : wished;
    const { revision, ttl } = await perform({
      op: 'grant',
      lease: ID,
      ttl: Math.max(TTL_MIN, TTL),
    });
    return { header: header(revision), ID, TTL: ttl! };
  };
  const revoke = async ({ ID }: { ID: number }) => {
    if (!isLease(ID)) throw refused('leaseNotFound');
    const { revision } = await perform({ op: 'revoke', lease: ID });
    return { header: header(revision) };
  };
  const keepAlive = async ({ ID }: { ID: number }): Promise<KeptAlive> => {
    const { machine } = service;
    if (!isLease(ID)) return { header: header(machine.revision), ID, TTL: 0 };
    const { revision, ttl = 0 } = await service.perform({ op: 'keepAlive', lease: ID });
    return { header: header(revision), ID, TTL: ttl };
  };
  const timeToLive = ({ ID, keys: wanted }: { ID: number; keys: boolean }) =>
    service.read((machine) => {
      const lease = machine.lease(ID);
      const common = { header: header(machine.revision), ID };
      if (lease === undefined) return { ...common, TTL: -1 };
      // The log's time follows the clocks, and stands still in between.
      const leftMs = Math.max(0, lease.expiresAt - Date.now());
      const keys = wanted ? Array.from(machine.keysOfLease(ID), bytesOfKey) : [];
      return { ...common, TTL: Math.floor(leftMs / 1_000), grantedTTL: lease.ttl, keys };
    });
  const leases = () =>
    service.read((machine) => ({
      header: header(machine.revision),
      leases: machine.leaseIds().map((ID) => ({ ID })),
    }));

  return {
    LeaseGrant: unary(grant),
    LeaseRevoke: unary(revoke),
    LeaseKeepAlive: serveKeepAlives(keepAlive),
    LeaseTimeToLive: unary(timeToLive),
    LeaseLeases: unary(leases),
  };
}

function isLease(id: number): boolean {
  return Number.isSafeInteger(id) && id > 0;
}

/** Answers each request of a stream as it becomes ready; those that have come are answered also after its end. */
function serveKeepAlives(
  keepAlive: (request: { ID: number }) => Promise<KeptAlive>,
): handleBidiStreamingCall<{ ID: number }, KeptAlive> {
  return (stream) => {
    let underWay = 0;
    let hasRoom = true;
    let ended = false;
    let over = false;
    const proceed = (): void => {
      if (over) return;
      // Who does not take the answers is not listened to either.
      if (hasRoom && underWay < UNDER_WAY_MAX) stream.resume();
      else stream.pause();
      if (ended && underWay === 0) stream.end();
    };
    const answer = (reply: KeptAlive): void => {
      if (!over) hasRoom = stream.write(reply);
    };
    const fail = (error: unknown): void => {
      if (over) return;
      // An answer behind its end would put another status in the place of this one.
      over = true;
      stream.emit('error', etcdStatusOf(error));
    };
    stream.on('data', (request: { ID: number }) => {
      underWay++;
      keepAlive(request)
        .then(answer, fail)
        .finally(() => {
          underWay--;
          proceed();
        });
      proceed();
    });
    stream.on('drain', () => {
      hasRoom = true;
      proceed();
    });
    stream.on('end', () => {
      ended = true;
      proceed();
    });
    for (const event of ['cancelled', 'close'])
      stream.once(event, () => {
        over = true;
      });
  };
}
