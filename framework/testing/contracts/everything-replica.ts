import type { OrderedLog } from '../../base/index.ts';
import {
  type Consistency,
  type Replica,
  type ReplicaOptions,
  startReplica,
} from '../../smr/index.ts';
import { type Command, Everything, type State } from './replicated-machine.ts';

type Options = Partial<ReplicaOptions<Command, unknown, State, Everything>>;
export type EverythingReplica = Replica<Command, unknown, Everything>;

export const PATIENT = { timeoutMs: 20_000 };

export const start = (log: OrderedLog, options: Options = {}): Promise<EverythingReplica> =>
  startReplica({ machine: new Everything(), log, callTimeoutMs: PATIENT.timeoutMs, ...options });
export const add = (key: string, by = 1): Command => ({ op: 'add', key, by });
export const sumOf = (replica: EverythingReplica, key: string, consistency?: Consistency) =>
  replica.query((it) => it.sums.get(key), { ...PATIENT, ...(consistency && { consistency }) });
