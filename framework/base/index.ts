/**
 * The words that everyone here uses: positions, ids, errors, assertions, batches; and the ports
 * through which everything enters that is not deterministic. Imports nothing, touches nothing.
 */
export * from './assert.ts';
export * from './backoff.ts';
export * from './batch.ts';
export {
  type AtomicAppend,
  type BatchAttributes,
  type Headers,
  PRODUCER_HEADER_BYTES,
  type Producer,
} from './batch-header.ts';
export * from './broken-stream.ts';
export * from './call-once.ts';
export { chunksOf, joined } from './chunks.ts';
export * from './clock.ts';
export * from './closers.ts';
export * from './disk.ts';
export * from './duration-histogram.ts';
export * from './errors.ts';
export * from './first-abort.ts';
export * from './format-unknown.ts';
export * from './ids.ts';
export * from './in-time.ts';
export * from './json-loss.ts';
export * from './lanes.ts';
export * from './limits.ts';
export * from './network.ts';
export * from './on-abort.ts';
export * from './once-per-turn.ts';
export * from './option-checks.ts';
export * from './ordered-log.ts';
export * from './outbox.ts';
export * from './own-bytes.ts';
export * from './ports.ts';
export * from './position.ts';
export * from './random.ts';
export * from './reason.ts';
export * from './sequence-map.ts';
export * from './serial-queue.ts';
export * from './server-context.ts';
export * from './sha256.ts';
export * from './tcp-address.ts';
export * from './turn-budget.ts';
export * from './waiter.ts';
export * from './waiters.ts';
export * from './wakeups.ts';
