import type { Retention } from './core/index.ts';

/** As it is in messages, where 0 stands for no limit. */
export interface WireRetention {
  readonly retainBytes: number;
  readonly retainMs: number;
}

export function retentionToWire({ bytes = 0, ageMs = 0 }: Retention): WireRetention {
  return { retainBytes: bytes, retainMs: ageMs };
}

export function retentionOfWire({ retainBytes: bytes, retainMs: ageMs }: WireRetention): Retention {
  return { ...(bytes > 0 && { bytes }), ...(ageMs > 0 && { ageMs }) };
}
