/**
 * Nothing: the package has several entry points, and each is imported by its own path.
 *
 * ```ts
 * import { Varlog } from 'varlog/log';
 * ```
 *
 * It exports nothing, so that nobody loads what is not needed.
 */
export {};

throw new Error(
  "'varlog' exports nothing itself; import 'varlog/log' (a client), 'varlog/log/sql', 'varlog/smr', 'varlog/smr/sql' " +
    "or 'varlog/smr/s3' (replicated services), 'varlog/raft', 'varlog/node' (a cluster in this process), 'varlog/testing', " +
    "'varlog/testing/sql' or 'varlog/testing/containers'",
);
