/**
 * A topic as an Observable, through RxJS operators, with work that takes time: the log is read no faster than the
 * work is done.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/rxjs-backpressure.js
 * 1000 readings of 4 sensors
 * sensor 0: 250 saved, in their order, highest 996
 * sensor 1: 250 saved, in their order, highest 997
 * sensor 3: 250 saved, in their order, highest 999
 * never more than 8 at a time: true
 * ```
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { filter, lastValueFrom, map, scan } from 'rxjs';
import { handle, Varlog } from 'varlog/log';

interface Reading {
  sensor: number;
  value: number;
}
interface Sensor {
  saved: number;
  inOrder: boolean;
  highest: number;
}

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const topic = await varlog.createTopic();

const readings = Array.from({ length: 1_000 }, (_, i): Reading => {
  return { sensor: i % 4, value: i };
});
await topic.append(readings.map((it) => JSON.stringify(it)));
console.log(`${readings.length} readings of 4 sensors`);

let busy = 0;
let busiest = 0;

/** Stands for a call to a database. */
async function save(reading: Reading): Promise<Reading> {
  busiest = Math.max(busiest, ++busy);
  await sleep(1);
  busy--;
  return reading;
}

const sensors = await lastValueFrom(
  topic.read$().pipe(
    map((entry) => entry.json<Reading>()),
    // It is known to be broken.
    filter(({ sensor }) => sensor !== 2),
    // Eight at a time, those of one sensor one after the other; what is busy holds the reading up.
    // `mergeMap` here would take the whole topic into memory.
    handle(save, { concurrency: 8, orderBy: ({ sensor }) => sensor }),
    scan((all, { sensor, value }) => {
      const before = all.get(sensor) ?? { saved: 0, inOrder: true, highest: -1 };
      return all.set(sensor, {
        saved: before.saved + 1,
        inOrder: before.inOrder && value > before.highest,
        highest: Math.max(before.highest, value),
      });
    }, new Map<number, Sensor>()),
  ),
);

for (const [sensor, { saved, inOrder, highest }] of sensors) {
  const order = inOrder ? 'in their order' : 'OUT OF ORDER';
  console.log(`sensor ${sensor}: ${saved} saved, ${order}, highest ${highest}`);
}
console.log('never more than 8 at a time:', busiest <= 8);
