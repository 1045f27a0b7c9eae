/**
 * Records as typed values: a schema on both sides, a key and headers beside them, and reading from a time.
 *
 * Needs a cluster: `npx varlog up` in another shell.
 *
 * ```
 * $ node dist/examples/typed-records.js
 * INVALID_ARGUMENT: nothing was appended
 * 1 ada 30 shop=north
 * 2 bob 12 shop=south
 * since the second: bob
 * 3 DECODE_FAILED
 * ```
 */
import { json, record, Varlog, VarlogError } from 'varlog/log';
import { z } from 'zod';

await using varlog = await Varlog.connect(process.env['VARLOG_URL'] ?? '127.0.0.1:9092');
const { id } = await varlog.createTopic();

// Any schema that follows Standard Schema will do. Types go through to what is appended and what is read.
const Order = z.object({ customer: z.string(), amount: z.number().positive() });
const orders = varlog.topic(id, { codec: json(Order) });

try {
  await orders.append({ customer: 'eve', amount: -1 });
} catch (error) {
  if (!VarlogError.is(error, 'INVALID_ARGUMENT')) throw error;
  console.log(`${error.code}: nothing was appended`);
}

// Of one record, key and headers are options. In a batch, each record has its own.
await orders.append({ customer: 'ada', amount: 30 }, { key: 'ada', headers: { shop: 'north' } });
await new Promise((resolve) => setTimeout(resolve, 10));
await orders.append([
  record({ customer: 'bob', amount: 12 }, { key: 'bob', headers: { shop: 'south' } }),
]);

let second = 0;
for await (const { glsn, key, value, headers, timestamp } of orders.read()) {
  console.log(glsn, key, value.amount, `shop=${headers.get('shop')}`);
  second = timestamp;
}
for await (const { value } of orders.read({ from: { time: second } })) {
  console.log('since the second:', value.customer);
}

// Somebody appended something else. Without `onDecodeError`, reading it would be an error that says where it is.
await varlog.topic(id).append('no order');
const all = varlog.topic(id, { codec: json(Order), onDecodeError: 'pass' });
for await (const { glsn, decodeError } of all.read()) {
  if (decodeError !== undefined) console.log(glsn, decodeError.code);
}
