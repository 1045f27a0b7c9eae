import { type MachineDefinition, TransactionMachine } from 'varlog/smr';

/**
 * The machine of the transaction service as all its replicas have it. `varlog replay` and `varlog why` take this module, for
 * the topic of a service: `varlog why 1 --machine dist/apps/txn-log/transactions/definition.js --key stock`.
 */
export const machine = {
  make: () => new TransactionMachine(),
  name: 'transactions',
} satisfies Pick<MachineDefinition, 'name'> & { make: () => TransactionMachine };
