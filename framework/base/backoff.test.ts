import fc from 'fast-check';
import { World } from '../testing/index.ts';
import { Backoff } from './backoff.ts';
import type { Random } from './random.ts';

const ms = fc.integer({ min: 1, max: 100_000 });

/** Gives the fractions in turn. */
function drawn(fractions: readonly number[]): Random {
  let next = 0;
  return { below: () => 0, id: () => '', fraction: () => fractions[next++ % fractions.length]! };
}

const fractions = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
  minLength: 1,
});

test('every wait is within a fifth and the whole of what doubles up to the limit', () => {
  fc.assert(
    fc.property(ms, ms, fractions, (firstMs, limitMs, fractions) => {
      const backoff = new Backoff(drawn(fractions), firstMs, limitMs);
      let most = Math.min(firstMs, limitMs);
      for (let i = 0; i < 100; i++) {
        const wait = backoff.nextMs();
        expect(wait).toBeGreaterThanOrEqual(0.2 * most * (1 - 1e-9));
        expect(wait).toBeLessThanOrEqual(most);
        most = Math.min(2 * most, limitMs);
      }
      backoff.reset();
      expect(backoff.nextMs()).toBeLessThanOrEqual(Math.min(firstMs, limitMs));
    }),
  );
});

test('two that draw differently do not come back at the same moment', () => {
  const [one, other] = [drawn([0.1]), drawn([0.9])].map((it) => new Backoff(it, 100, 1_000));
  for (let i = 0; i < 10; i++) expect(one!.nextMs()).toBeLessThan(other!.nextMs());
});

test('a pause lasts as long as is due, and ends at once when it is called off', async () => {
  const world = new World('backoff');
  await world.play(async () => {
    const { clock } = world.ports('a');
    const backoff = new Backoff(drawn([0.5]), 100, 1_000);
    const begun = clock.now();
    await backoff.pause(clock);
    expect(clock.now() - begun).toBeCloseTo(60, 0);
    const ending = new AbortController();
    const pausing = backoff.pause(clock, ending.signal);
    const asked = clock.now();
    ending.abort(new Error('enough'));
    await pausing;
    expect(clock.now()).toBe(asked);
    await backoff.pause(clock, ending.signal);
    expect(clock.now()).toBe(asked);
  });
});
