import type { MachineDefinition } from 'varlog/smr';
import { kvCodecs } from './codecs.ts';
import { type EtcdResult, type KvCommand, KvMachine, type KvResult } from './machine.ts';

/**
 * The store's machine as all its replicas have it. `varlog replay` and `varlog why` take this module, for the topic of a
 * store: `varlog why 1 --machine dist/apps/kv-store/definition.js --key color`.
 */
export const machine = {
  make: () => new KvMachine(),
  name: 'kv',
  codec: kvCodecs,
} satisfies MachineDefinition<KvCommand, KvResult | EtcdResult>;
