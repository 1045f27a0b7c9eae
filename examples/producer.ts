/**
 * A producer appends exactly once: what it does not know the outcome of it repeats, and the log takes it once.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/producer.js
 * 100 appends, sequences 0 to 99, GLSNs 1 to 100
 * the same producer, opened again, goes on at sequence 0 of a later epoch
 * the first one, from then on: PRODUCER_FENCED
 * the log holds 101 records, each once
 * ```
 */
import { Varlog, VarlogError } from 'varlog/log';

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const topic = await varlog.createTopic();

// The id stays the same over restarts of the program; each that lives at the same time has one of its own.
const first = await topic.producer({ id: 7 });
const texts = Array.from({ length: 100 }, (_, i) => `order ${i}`);
// All at once: they are stored in the order of the calls, also when the primary is lost meanwhile.
const acks = await Promise.all(texts.map((it) => first.append(it)));
const [begin, end] = [acks[0], acks.at(-1)];
console.log(
  `${acks.length} appends, sequences ${begin?.sequence} to ${end?.sequence}, GLSNs ${begin?.glsn} to ${end?.glsn}`,
);

const second = await topic.producer({ id: 7 });
const { sequence } = await second.append('order 100');
const isLater = second.epoch > first.epoch ? 'a later' : 'the same';
console.log(`the same producer, opened again, goes on at sequence ${sequence} of ${isLater} epoch`);

try {
  await first.append('order 100, from a process that was taken for dead');
} catch (error) {
  if (VarlogError.is(error)) console.log(`the first one, from then on: ${error.code}`);
}

const found: string[] = [];
for await (const entry of topic.read()) found.push(entry.text());
const each = new Set(found).size === found.length ? 'each once' : 'some twice';
console.log(`the log holds ${found.length} records, ${each}`);
await varlog.deleteTopic(topic.id);
