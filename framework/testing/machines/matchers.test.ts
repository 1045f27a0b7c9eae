import type { StateMachine } from '../../smr/index.ts';
import { type VarlogMatchers, varlogMatchers } from './matchers.ts';

declare global {
  namespace jest {
    interface Matchers<R> extends VarlogMatchers {}
  }
}
expect.extend(varlogMatchers);

class Counter implements StateMachine<number, number, number> {
  value = 0;
  apply(add: number): number {
    this.value += add;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

const workload = (): number => 1;
const low = (it: Counter): boolean => it.value < 5;

test('a machine that survives passes, and one that does not tells why', async () => {
  await expect(Counter).toSurvive({ seeds: 3, workload });
  await expect(() => new Counter()).toSurvive({ seeds: 3, workload });
  await expect(Counter).not.toSurvive({ seeds: 3, workload, invariant: low });
  await expect(expect(Counter).toSurvive({ seeds: 3, workload, invariant: low })).rejects.toThrow(
    /invariant does not hold[\s\S]*firstSeed: 1/,
  );
  await expect(expect(Counter).not.toSurvive({ seeds: 3, workload })).rejects.toThrow(
    /Counter survives 3 seeds/,
  );
});

test('a mistake in the test is no defect of the machine', async () => {
  await expect(expect(Counter).not.toSurvive({ seeds: -1, workload })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
