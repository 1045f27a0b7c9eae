import type { Measured } from './measure.ts';

/** A key-value store that three processes replicate, and somebody to load it. */
export interface Store extends AsyncDisposable {
  readonly name: string;
  run(kind: 'put' | 'get', clients: number, seconds: number): Promise<Measured>;
}
