import { isErrorCode, type Outcome, reasonOf, VarlogError } from '../../base/index.ts';

/** An error as it travels. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly outcome: Outcome | undefined;
  /** JSON. */
  readonly details: string;
}

/** What the two ends of a connection say to each other. */
export type Frame =
  | {
      readonly kind: 'start';
      readonly call: number;
      readonly path: string;
      readonly cluster: string | undefined;
      readonly request?: Uint8Array;
    }
  | { readonly kind: 'message'; readonly call: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly call: number }
  | {
      readonly kind: 'status';
      readonly call: number;
      readonly error?: WireError;
      readonly response?: Uint8Array;
    }
  /** Ends a call at once, in front of what still waits. */
  | { readonly kind: 'reset'; readonly call: number }
  /** The receiver has handled so many bytes. */
  | { readonly kind: 'credit'; readonly call: number; readonly bytes: number }
  | { readonly kind: 'ping' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'closed' };

/** Bytes of a message on the wire beside its own. */
const OVERHEAD_BYTES = 64;

export function payloadOf(frame: Frame): Uint8Array | undefined {
  if (frame.kind === 'message') return frame.bytes;
  if (frame.kind === 'start') return frame.request;
  return frame.kind === 'status' ? frame.response : undefined;
}

export function wireBytes(payload: Uint8Array | undefined): number {
  return OVERHEAD_BYTES + (payload?.length ?? 0);
}

/** What a handler threw, as it is sent. */
export function toWire(error: unknown): WireError {
  if (VarlogError.is(error)) {
    const { code, message, outcome } = error;
    return { code, message, outcome, details: JSON.stringify(error.details) };
  }
  const message = reasonOf(error);
  return { code: 'INTERNAL', message, outcome: undefined, details: '{}' };
}

export function fromWire({ code, message, outcome, details }: WireError): VarlogError {
  return new VarlogError(isErrorCode(code) ? code : 'INTERNAL', {
    what: message,
    details: JSON.parse(details) as Record<string, unknown>,
    ...(outcome === undefined ? {} : { outcome }),
  });
}

export const cancelled = (): VarlogError =>
  new VarlogError('CANCELLED', { what: 'the stream was cancelled' });
