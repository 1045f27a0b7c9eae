import { World } from '../../testing/simulator/world.ts';
import type { LogStreamState } from '../core/index.ts';
import { Joins } from './joins.ts';

const streamOf = (id: number, epoch: number, sealed: boolean): LogStreamState =>
  ({ id, epoch, sealed }) as LogStreamState;
const all = (...streams: LogStreamState[]) => new Map(streams.map((it) => [it.id, it]));

test('a few log streams are sealed for a join at once: the next ones when those are open again, gone, or late', async () => {
  const world = new World(1);
  const joins = new Joins(world.ports('test').clock, 2);
  joins.begin(streamOf(1, 4, false));
  expect(joins.hasRoom).toBe(true);
  joins.begin(streamOf(2, 7, false));
  expect(joins.hasRoom).toBe(false);
  // Not sealed yet, and sealed.
  joins.observe(all(streamOf(1, 4, false), streamOf(2, 8, true)));
  expect(joins.hasRoom).toBe(false);
  joins.observe(all(streamOf(1, 5, false), streamOf(2, 8, true)));
  expect(joins.hasRoom).toBe(true);
  joins.begin(streamOf(3, 1, false));
  joins.observe(all(streamOf(2, 8, true)));
  expect(joins.hasRoom).toBe(true);
  joins.begin(streamOf(4, 1, false));
  expect(joins.hasRoom).toBe(false);
  await world.run(1_001);
  joins.observe(all(streamOf(2, 8, true), streamOf(4, 2, true)));
  expect(joins.hasRoom).toBe(true);
  joins.begin(streamOf(5, 1, false));
  joins.begin(streamOf(6, 1, false));
  joins.clear();
  expect(joins.hasRoom).toBe(true);
  world.close();
});
