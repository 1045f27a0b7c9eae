/**
 * What users test with: replicas of a machine under faults, from seeds; a log in memory with the faults of a real one; a
 * simulator, and checkers of histories. Suites for logs and stores of your own are in `varlog/testing/contracts`,
 * `simulate` for machines in SQL in `varlog/testing/sql`, a cluster in containers in `varlog/testing/containers`.
 *
 * ```ts
 * import { given, MemoryLog, simulate } from 'varlog/testing';
 * import { startReplica } from 'varlog/smr';
 *
 * given(new Counter(), [{ add: 1 }]).when({ add: 2 }).then(3);
 * await simulate(Counter, { seeds: 1_000, workload: (random) => ({ add: random.below(10) }) });
 *
 * const log = new MemoryLog();
 * const counter = await startReplica({ machine: new Counter(), log });
 * log.failNext('unknownApplied'); // the command takes effect, its answer is lost
 * await counter.execute({ add: 1 }); // and still it counts once
 * ```
 *
 * It is not for production: nothing here is durable.
 */

export type { AppendFault } from './append-fault.ts';
export { Capture, type CapturedEntry, readCapture } from './capture.ts';
export {
  checkLinearizable,
  type LinearizabilityVerdict,
  type Operation,
  type SequentialModel,
} from './checkers/linearizability.ts';
export {
  checkListAppend,
  type ListOperation,
  type ListTransaction,
} from './checkers/list-append.ts';
export { checkRegisters, type RegisterInput, type RegisterOutput } from './checkers/registers.ts';
export { type AppendRecord, checkTotalOrder, type ReadRecord } from './checkers/total-order.ts';
export { freeAddresses } from './free-addresses.ts';
export type { DefectKind } from './machines/defect.ts';
export { type GivenOptions, given, type Scenario } from './machines/given.ts';
export type { MachineSource } from './machines/machine-source.ts';
export { type VarlogMatchers, varlogMatchers } from './machines/matchers.ts';
export type { MachineFault, MachineFaultKind } from './machines/plan.ts';
export { checkReplay, checkSnapshots, type ReplayOptions } from './machines/replay.ts';
export { type SimulateOptions, simulate } from './machines/simulate.ts';
export type { SimulationOptions, SimulationReport } from './machines/simulation.ts';
export type { LookedAt } from './machines/state-bytes.ts';
export { ManualClock } from './manual-clock.ts';
export type { MemoryConsumers } from './memory-consumers.ts';
export { type LinkOptions, MemoryLink } from './memory-link.ts';
export { MemoryLog, type MemoryLogOptions } from './memory-log.ts';
export type { MemoryProducer } from './memory-producer.ts';
export { type DiskFaults, SimulatedDisk } from './simulator/disk.ts';
export {
  type Fault,
  type FaultRates,
  inflict,
  planFaults,
  recover,
  sampleRates,
} from './simulator/nemesis.ts';
export type { LinkQuality } from './simulator/network-links.ts';
export { SeededRandom } from './simulator/random.ts';
export {
  type RunReport,
  type RunSeedsOptions,
  runSeeds,
  type SeedFailure,
} from './simulator/run.ts';
export { type Process, type StartProcess, World, type WorldOptions } from './simulator/world.ts';
export { strictMachine } from './strict-machine.ts';
