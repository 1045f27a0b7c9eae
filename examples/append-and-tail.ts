/**
 * Appends records, reads them in their order, follows what comes, and goes on where it stopped.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/append-and-tail.js
 * appended 1 record at 1, then 2 from 2 on
 * read 1 one
 * read 2 two
 * read 3 three
 * followed 4 four
 * resumed 5 five
 * TRIMMED: the first one left is 5
 * ```
 */
import { type ResumeToken, Varlog, VarlogError } from 'varlog/log';

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
// Appends scale with the number of log streams; there is one order over all of them.
const topic = await varlog.createTopic({ logStreams: 2 });

// Resolves when the record is durable and has its place in the order.
const first = await topic.append('one');
// A batch is there as a whole or not at all, side by side.
const batch = await topic.append(['two', 'three']);
console.log(`appended 1 record at ${first.glsn}, then ${batch.count} from ${batch.glsn} on`);

// `read` ends at the last record that was there when it began.
for await (const entry of topic.read()) console.log('read', entry.glsn, entry.text());

// `tail` never ends by itself: leaving the loop closes it.
const tail = topic.tail({ from: 'end' });
await tail.ready();
await topic.append('four');
let token: ResumeToken | undefined;
for await (const entry of tail) {
  console.log('followed', entry.glsn, entry.text());
  // Keep it wherever you keep what you did with the record.
  token = entry.resumeToken;
  break;
}

// A token belongs to one topic of one cluster: elsewhere it is refused, where a mere position would mislead.
await topic.append('five');
for await (const entry of topic.tail({ from: token ?? 'start' })) {
  console.log('resumed', entry.glsn, entry.text());
  break;
}

await topic.trim(4);
try {
  for await (const entry of topic.read({ from: 1 })) console.log('read', entry.glsn);
} catch (error) {
  if (!VarlogError.is(error, 'TRIMMED')) throw error;
  console.log(`${error.code}: the first one left is ${error.details['firstAvailable']}`);
}
