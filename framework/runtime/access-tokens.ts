import { createHash, timingSafeEqual } from 'node:crypto';
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { VarlogError } from '../base/index.ts';
import { isLoopback } from './tcp-address.ts';

/** The header that carries an access token, behind the word `Bearer` (RFC 6750). */
const HEADER = 'authorization';
const CHARACTERS_MIN = 16;

/** Access tokens: those that a server accepts, by their hashes, and the first one, which is shown to others. */
export class AccessTokens {
  private hashes: readonly Buffer[] = [];
  /** Private to the class, so that no error or log shows it. */
  #shown = '';

  /** Throws `CONFIG_INVALID` where there is none, or one that {@link checkToken} refuses. */
  constructor(tokens: readonly string[]) {
    this.change(tokens);
  }

  /** The first one. */
  get first(): string {
    return this.#shown;
  }

  /** Has these instead, and tells whether they are others. Throws as the constructor, and stays as it was then. */
  change(tokens: readonly string[]): boolean {
    const [first] = tokens;
    if (first === undefined) {
      throw new VarlogError('CONFIG_INVALID', {
        what: 'a list of access tokens is empty',
        because: 'with it, nobody would be let in',
        next: 'name at least one token, or leave the list out to let in anybody',
      });
    }
    for (const [i, it] of tokens.entries()) checkToken(it, `access token ${i + 1}`);
    const hashes = tokens.map(hashOf);
    const before = this.hashes;
    this.hashes = hashes;
    this.#shown = first;
    return hashes.length !== before.length || hashes.some((it, i) => !it.equals(before[i]!));
  }

  /** Whether this is one of them. It takes as long for every one that is not. */
  has(token: string | undefined): boolean {
    if (token === undefined) return false;
    const hash = hashOf(token);
    let found = false;
    for (const known of this.hashes) if (timingSafeEqual(hash, known)) found = true;
    return found;
  }
}

/** Throws `CONFIG_INVALID` for a token that cannot be used. `name` stands for it in the error, which does not show it. */
export function checkToken(token: string, name: string): void {
  // A quotation mark, comma or space would end it early somewhere on its way.
  if (!/^[\w\-.~+/]*=*$/.test(token)) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `${name} has a character that no header can carry in a token`,
      next: 'use letters, digits and - . _ ~ + / only, with = at the end: "openssl rand -hex 32" makes one',
    });
  }
  if (token.length < CHARACTERS_MIN) {
    throw new VarlogError('CONFIG_INVALID', {
      what: `${name} has ${token.length} characters, and fewer than ${CHARACTERS_MIN} can be guessed`,
      next: 'make a longer one, for example with "openssl rand -hex 32"',
    });
  }
}

/** Makes what a call carries beside its message. Throws `CONFIG_INVALID` for a token that cannot be used. */
export function callMetadata(token: string | undefined): () => Metadata {
  if (token === undefined) return () => new Metadata();
  checkToken(token, 'the access token');
  return () => metadataWith(token);
}

/** What a call carries that shows a token. */
export function metadataWith(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set(HEADER, `Bearer ${token}`);
  return metadata;
}

/** The token in a header `authorization`. */
export function bearerOf(authorization: unknown): string | undefined {
  return typeof authorization === 'string'
    ? /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
    : undefined;
}

/**
 * Has a server of grpc-js refuse each call without one of the tokens as `UNAUTHENTICATED`, before any of its messages is
 * read. `shownBy` finds the token of a call; calls of the paths that `isOpen` names need none.
 */
export function askForToken(
  tokens: AccessTokens,
  isOpen: (path: string) => boolean = () => false,
  shownBy: (metadata: Metadata) => string | undefined = bearerIn,
): ServerInterceptor {
  return ({ path }, call) => {
    if (isOpen(path)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const shown = shownBy(metadata);
            if (tokens.has(shown)) proceed(metadata);
            else call.sendStatus(refusalOf(shown));
          },
        }),
    });
  };
}

/** The token in the header `authorization` of a call. */
export function bearerIn(metadata: Metadata): string | undefined {
  return bearerOf(metadata.get(HEADER)[0]);
}

function refusalOf(shown: string | undefined): Pick<StatusObject, 'code' | 'details'> {
  return {
    code: status.UNAUTHENTICATED,
    details:
      shown === undefined
        ? 'no access token came with it, as "authorization: Bearer TOKEN"'
        : 'its access token is none that the server knows',
  };
}

/** What an operator should hear about a server with tokens at `address`, if anything. */
export function tokenWarning(address: string, isEncrypted: boolean): string | undefined {
  if (isEncrypted || isLoopback(address)) return undefined;
  return `access tokens come to ${address} without TLS: whoever can see the traffic can read them`;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
