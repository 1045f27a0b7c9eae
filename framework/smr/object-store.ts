/**
 * Objects by their names, as S3 and its like keep them (`s3Objects` of `varlog/smr/s3`); a folder on a disk does too
 * (`objectDirectory`). Names are of letters, digits, `-` and `_`, and have 200 characters at most.
 */
export interface ObjectStore {
  /**
   * Keeps an object, or replaces it: all of it, or nothing. It takes the next chunk when it has room for it. Whoever reads
   * meanwhile finds the old object or the new one. Durably kept when this resolves. Where `chunks` throws, nothing is
   * kept, and the error is passed on.
   */
  put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Its bytes, to be read once; `undefined` where there is none. */
  get(name: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Names that begin with `prefix`, of all objects whose `put` resolved before the call; sorted. */
  list(prefix: string): Promise<readonly string[]>;
  /** Does nothing where there is none. */
  delete(name: string): Promise<void>;
}
