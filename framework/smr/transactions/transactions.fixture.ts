import type { SeededRandom } from '../../testing/index.ts';
import type { TransactionCommand } from './transaction-machine.ts';

/** Names and versions come again, so that there are conflicts, and repetitions of what is known and of what is forgotten. */
export function anyCommand(random: SeededRandom): TransactionCommand {
  const key = (): string => random.pick(['a', 'b', 'c']);
  const [id, since] = [`t${random.below(8)}`, random.below(20)];
  if (random.chance(0.2)) return { op: 'settle', id, since };
  return {
    op: 'commit',
    id,
    attempt: 1 + random.below(2),
    since,
    ...(random.chance(0.3) && { result: 'done' }),
    reads: random.chance(0.5) ? [[key(), random.below(20)]] : [],
    writes: [[key(), random.chance(0.3) ? null : `${random.below(100)}`]],
  };
}
