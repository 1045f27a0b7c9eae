import { status } from '@grpc/grpc-js';
import { VarlogError } from 'varlog/log';
import { Refused } from '../refusal.ts';
import { etcdStatusOf, invalid } from './etcd-error.ts';

const what = 'something';

test.each([
  [new Refused('leaseNotFound'), status.NOT_FOUND, 'etcdserver: requested lease not found'],
  [invalid('key is not provided'), status.INVALID_ARGUMENT, 'etcdserver: key is not provided'],
  [new VarlogError('TIMEOUT', { what }), status.UNAVAILABLE, 'etcdserver: request timed out'],
  [
    new VarlogError('CLOSED', { what, outcome: 'unknown' }),
    status.UNAVAILABLE,
    'etcdserver: request timed out',
  ],
  [
    new VarlogError('RESOURCE_EXHAUSTED', { what, outcome: 'unknown' }),
    status.UNAVAILABLE,
    'etcdserver: request timed out',
  ],
  [
    new VarlogError('RESOURCE_EXHAUSTED', { what, outcome: 'notAppended' }),
    status.RESOURCE_EXHAUSTED,
    'etcdserver: too many requests',
  ],
  [
    new VarlogError('ENTRY_TOO_LARGE', { what, outcome: 'notAppended' }),
    status.INVALID_ARGUMENT,
    'etcdserver: request is too large',
  ],
  [new VarlogError('CLOSED', { what }), status.UNAVAILABLE, 'CLOSED: something'],
  [new TypeError(what), status.INTERNAL, 'something'],
])('%s is told as etcd does', (error, code, details) => {
  expect(etcdStatusOf(error)).toEqual({ code, details: expect.stringContaining(details) });
});
