import fc from 'fast-check';
import type { MachineFault, Plan, PlannedCall } from './plan.ts';
import { shrink } from './shrink.ts';

const fault = (i: number): MachineFault => ({ kind: 'pause', replica: 'r1', atMs: i, forMs: i });
const call = (i: number): PlannedCall => ({
  kind: 'command',
  replica: i % 5 === 0 ? 'r2' : 'r1',
  atMs: i,
  number: i,
  command: new Uint8Array(),
  repeated: false,
  speculated: false,
});
const plan = (faults: number, calls: number): Plan => ({
  seed: 1,
  replicas: ['r1', 'r2', 'r3'],
  latencyMs: 1,
  snapshotEvery: 1,
  snapshotsIn: 'log',
  faults: Array.from({ length: faults }, (_, i) => fault(i + 1)),
  calls: Array.from({ length: calls }, (_, i) => call(i + 1)),
});
const partsOf = ({ faults, calls }: Plan): Set<number> =>
  new Set([...faults.map((it) => -it.atMs), ...calls.map((it) => it.atMs)]);

test('what has to be together is what remains, and nothing else', async () => {
  const sizes = fc.record({ faults: fc.nat(20), calls: fc.integer({ min: 1, max: 40 }) });
  await fc.assert(
    fc.asyncProperty(sizes, fc.infiniteStream(fc.nat()), async ({ faults, calls }, picks) => {
      const whole = plan(faults, calls);
      const all = [...partsOf(whole)];
      const needed = new Set([...picks.take(4)].map((it) => all[it % all.length]!));
      const fails = async (it: Plan): Promise<boolean> => {
        const parts = partsOf(it);
        return [...needed].every((part) => parts.has(part));
      };
      const smallest = await shrink(whole, fails, 1_000_000);
      expect(partsOf(smallest)).toEqual(needed);
      expect(smallest.replicas.length).toBeLessThanOrEqual(2);
    }),
    { numRuns: 100 },
  );
});

test('what it leaves fails, and nothing more can be left out, also where less may fail again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 6 }), async (modulus) => {
      const fails = async ({ calls }: Plan): Promise<boolean> =>
        calls.length > 0 && calls.length % modulus === 0;
      const smallest = await shrink(plan(3, modulus * 6), fails, 1_000_000);
      expect(await fails(smallest)).toBe(true);
      expect(smallest.faults).toEqual([]);
      for (const left of smallest.calls) {
        const calls = smallest.calls.filter((it) => it !== left);
        expect(await fails({ ...smallest, calls })).toBe(false);
      }
    }),
  );
});

test('it ends when it has tried as much as it may', async () => {
  let parts = 0;
  const fails = async ({ faults, calls }: Plan): Promise<boolean> => {
    parts += faults.length + calls.length;
    return false;
  };
  const whole = plan(20, 200);
  expect(await shrink(whole, fails, 1_000)).toBe(whole);
  expect(parts).toBeGreaterThan(500);
  expect(parts).toBeLessThan(1_300);
});
