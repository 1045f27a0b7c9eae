import { type Batch, encodeBatch, recordLimits } from '../../base/index.ts';
import { checkAppend } from './append-service.ts';

const record = new Uint8Array([1, 2, 3]);
const check = (batch: Batch): void => checkAppend(batch, recordLimits());

test('a batch with headers is taken', () => {
  check(encodeBatch([record], { headers: [['traceparent', record]] }));
});

test('a batch of a later version is refused, and it is said what to do', () => {
  const batch = encodeBatch([record], { headers: [['a', record]] });
  batch.bytes[0] = 2;
  expect(() => check(batch)).toThrow(/FORMAT_UNKNOWN: a batch has version 2.*upgrade/);
});

test('a batch of a producer is taken', () => {
  check(encodeBatch([record], { producer: { id: 1, epoch: 1, sequence: 1 } }));
});

test('a header that does not add up is the fault of the client', () => {
  const batch = encodeBatch([record], { headers: [['a', record]] });
  batch.bytes[8] = 0;
  expect(() => check(batch)).toThrow(/INVALID_ARGUMENT.*header/);
});
