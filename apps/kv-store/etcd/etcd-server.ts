import { createHash } from 'node:crypto';
import { type Server, status } from '@grpc/grpc-js';
import type { AccessTokens } from 'varlog/node';
import { serviceOf } from '../proto.ts';
import type { KvService } from '../service.ts';
import { authenticate } from './authentication.ts';
import { EtcdContext, idOf } from './etcd-context.ts';
import { EtcdError } from './etcd-error.ts';
import { keyValueMethods } from './key-value-methods.ts';
import { leaseMethods } from './lease-methods.ts';
import { ALARM_ACTION, type AlarmRequest, type AuthenticateRequest } from './messages.ts';
import { unary } from './unary.ts';
import { serveWatches } from './watch-session.ts';

/** The version of etcd whose interface this is. */
const ETCD_VERSION = '3.4.0';

/**
 * Serves the part of etcd's interface that etcd.proto has, on a server that has not begun yet. `url`: of this replica, for
 * clients that ask for the members: each replica knows of itself alone. `tokens`: what it takes for passwords.
 */
export function serveEtcd(
  server: Server,
  service: KvService,
  url: string,
  tokens?: AccessTokens,
): void {
  const memberId = idOf(createHash('sha256').update(url).digest('hex'));
  const context = new EtcdContext(service, memberId);
  const now = () => ({ header: context.header(service.machine.revision) });
  server.addService(serviceOf('etcdserverpb.KV'), keyValueMethods(context));
  server.addService(serviceOf('etcdserverpb.Watch'), { Watch: serveWatches(context) });
  server.addService(serviceOf('etcdserverpb.Lease'), leaseMethods(context));
  server.addService(serviceOf('etcdserverpb.Cluster'), {
    MemberList: unary(async () => ({
      ...now(),
      members: [{ ID: memberId, name: url, clientURLs: [url] }],
    })),
  });
  server.addService(serviceOf('etcdserverpb.Maintenance'), {
    // There are none, and none can be raised.
    Alarm: unary(async ({ action }: AlarmRequest) => {
      if (action === ALARM_ACTION.get || action === ALARM_ACTION.deactivate) return now();
      throw new EtcdError(status.UNIMPLEMENTED, 'alarms cannot be raised here');
    }),
    Status: unary(async () => {
      const { position, machine } = service;
      const { bytes } = machine.history;
      const sizes = { dbSize: bytes, dbSizeInUse: bytes };
      const raft = { raftIndex: position, raftAppliedIndex: position, raftTerm: 1 };
      return { ...now(), version: ETCD_VERSION, ...sizes, ...raft, leader: memberId };
    }),
  });
  server.addService(serviceOf('etcdserverpb.Auth'), {
    Authenticate: unary(async (request: AuthenticateRequest) => ({
      ...now(),
      ...authenticate(tokens, request),
    })),
  });
}
