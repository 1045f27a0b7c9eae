import type { AppendReceipt } from '../../log/index.ts';

/** The parts of a receipt in the order in which an append comes to them, in words. */
const PARTS: readonly (readonly [Exclude<keyof AppendReceipt, 'total'>, string])[] = [
  ['clientQueue', 'queue of the client'],
  ['wire', 'wire to the primary and back'],
  ['primaryQueue', 'queue of the primary'],
  ['disk', 'disk of the primary'],
  ['replicas', 'other replicas'],
  ['repositoryWire', 'wire to the metadata repository and back'],
  ['cut', 'cuts before'],
  ['raft', 'Raft'],
  ['answer', 'answer of the primary'],
  ['other', 'not measured'],
];

/** A receipt for people: a line for each part that took time, and one for all. */
export function receiptLines(receipt: AppendReceipt): string[] {
  const line = (ms: number, what: string): string => `${ms.toFixed(3).padStart(10)} ms  ${what}`;
  const parts = PARTS.filter(([part]) => receipt[part] >= 0.0005);
  return [...parts.map(([part, what]) => line(receipt[part], what)), line(receipt.total, 'in all')];
}
