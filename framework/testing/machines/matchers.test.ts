import { Sum } from '../../smr/sum.fixture.ts';
import { type VarlogMatchers, varlogMatchers } from './matchers.ts';

declare global {
  namespace jest {
    interface Matchers<R> extends VarlogMatchers {}
  }
}
expect.extend(varlogMatchers);

const workload = (): number => 1;
const low = (it: Sum): boolean => it.value < 5;

test('a machine that survives passes, and one that does not tells why', async () => {
  await expect(Sum).toSurvive({ seeds: 3, workload });
  await expect(() => new Sum()).toSurvive({ seeds: 3, workload });
  await expect(Sum).not.toSurvive({ seeds: 3, workload, invariant: low });
  await expect(expect(Sum).toSurvive({ seeds: 3, workload, invariant: low })).rejects.toThrow(
    /invariant does not hold[\s\S]*firstSeed: 1/,
  );
  await expect(expect(Sum).not.toSurvive({ seeds: 3, workload })).rejects.toThrow(
    /Sum survives 3 seeds/,
  );
});

test('a mistake in the test is no defect of the machine', async () => {
  await expect(expect(Sum).not.toSurvive({ seeds: -1, workload })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
