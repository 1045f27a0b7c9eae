/** Limits that clients and servers share, so that a refusal never depends on where it was checked. */

/** One record may hold this many bytes. */
export const RECORD_BYTES_MAX = 1024 * 1024;
/** One batch may hold this many framed bytes. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/**
 * One message of a subscription holds about this many bytes: a stalled reader makes grpc-js hold
 * some 31 messages, whatever their size. A single larger batch still travels alone.
 */
export const SUBSCRIPTION_MESSAGE_BYTES = 128 * 1024;
