import { type Metadata, type ServerInterceptor, status } from '@grpc/grpc-js';
import { type AccessTokens, askForToken, bearerIn } from 'varlog/node';
import { EtcdError } from './etcd-error.ts';
import type { Authenticated, AuthenticateRequest } from './messages.ts';

const AUTHENTICATE = '/etcdserverpb.Auth/Authenticate';
/** Where clients of etcd put what they were answered by `Authenticate`. */
const ETCD_HEADER = 'token';

/** Has all calls show a token, as this store's own clients do or as those of etcd, but for the one that gives it to the latter. */
export function askForTokenAsEtcd(tokens: AccessTokens): ServerInterceptor {
  return askForToken(tokens, (path) => path === AUTHENTICATE, tokenIn);
}

function tokenIn(metadata: Metadata): string | undefined {
  return bearerIn(metadata) ?? metadata.get(ETCD_HEADER)[0]?.toString();
}

/** Clients of etcd have a name and a password. Whoever has a token for a password, whatever the name, gets it back to show. */
export function authenticate(
  tokens: AccessTokens | undefined,
  { password }: AuthenticateRequest,
): Authenticated {
  if (tokens === undefined)
    throw new EtcdError(status.FAILED_PRECONDITION, 'authentication is not enabled');
  if (tokens.has(password)) return { token: password };
  throw new EtcdError(
    status.INVALID_ARGUMENT,
    'authentication failed, invalid user ID or password',
  );
}
