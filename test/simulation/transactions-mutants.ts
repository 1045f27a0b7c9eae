import { ReplicaTransactions, TransactionMachine } from '../../framework/smr/index.ts';
import { Remembered } from '../../framework/smr/transactions/remembered.ts';
import { type PlantedDefect, planted, replace } from './planted-defect.ts';
import { transactionsScenario } from './transactions-scenario.ts';

const { apply } = TransactionMachine.prototype;

/** Replaces how the machine applies a command by something that may change the command first. */
const applying = (change: (command: Parameters<typeof apply>[0]) => Parameters<typeof apply>[0]) =>
  replace(TransactionMachine.prototype, 'apply', function (this: TransactionMachine, it, context) {
    return apply.call(this, change(it), context);
  });

const DEFECTS: Readonly<Record<string, PlantedDefect>> = {
  'nothing that was read is validated': () =>
    applying((it) => (it.op === 'commit' ? { ...it, reads: [] } : it)),
  'only the first read is validated': () =>
    applying((it) => (it.op === 'commit' ? { ...it, reads: it.reads.slice(0, 1) } : it)),
  'what is written is not validated where it was only read': () =>
    applying((it) => {
      if (it.op !== 'commit') return it;
      const written = new Set(it.writes.map(([key]) => key));
      return { ...it, reads: it.reads.filter(([key]) => written.has(key)) };
    }),
  'an aborted attempt has written its first key': () =>
    replace(
      TransactionMachine.prototype,
      'apply',
      function (this: TransactionMachine, it, context) {
        const outcome = apply.call(this, it, context);
        if (outcome.state === 'aborted' && it.op === 'commit') {
          const half = { ...it, id: `${it.id} half`, reads: [], writes: it.writes.slice(0, 1) };
          apply.call(this, half, context);
        }
        return outcome;
      },
    ),
  'what was written is applied twice': () =>
    applying((it) =>
      it.op === 'commit'
        ? {
            ...it,
            writes: it.writes.map(([key, value]): [string, string | null] => [
              key,
              value?.startsWith('[') ? value.replace(/("[^"]*")\]$/, '$1,$1]') : value,
            ]),
          }
        : it,
    ),
  'one that nobody knew is told as refused, and takes effect later': () =>
    replace(
      TransactionMachine.prototype,
      'apply',
      function (this: TransactionMachine, it, context) {
        const outcome = apply.call(this, it, context);
        if (it.op === 'settle' && outcome.state === 'refused') {
          const { outcomes } = this as unknown as { outcomes: { newer: Map<string, unknown> } };
          outcomes.newer.delete(it.id);
        }
        return outcome;
      },
    ),
  'outcomes are not in snapshots': () => replace(Remembered.prototype, 'add', () => {}),
  'reads see what is there now, and not their snapshot': () =>
    replace(ReplicaTransactions.prototype, 'read', async function (this: ReplicaTransactions, key) {
      const { replica } = this as unknown as { replica: { machine: TransactionMachine } };
      return replica.machine.inspect(key);
    }),
};

/** The scenario with each of the defects. */
export const TRANSACTIONS_MUTANTS = planted(DEFECTS, transactionsScenario);
