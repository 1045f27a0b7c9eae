import fc from 'fast-check';
import { startStore } from '../store.fixture.ts';
import { describeWith, EtcdClient, startEtcd } from './etcd.fixture.ts';
import type { RangeRequest, RequestOp, TxnRequest } from './messages.ts';
import { anyTransaction, LEASES, withinOne } from './requests.fixture.ts';

/** Of requests, one after the other; revisions in them are about those that there are now. */
const REQUESTS = Number(process.env['ETCD_REQUESTS'] ?? 300);
const SEED = Number(process.env['SEED'] ?? 1);
/** Revisions of requests are up to 40, and most of the last ones are to be met. */
const LATEST = 32;

type Call = readonly [method: string, request: object];

/** Made when the newest revisions are known. */
type Making = (base: number) => Call;
const anyCall: fc.Arbitrary<Making> = fc.oneof(
  {
    weight: 12,
    arbitrary: anyTransaction.map(
      (it): Making =>
        (base) =>
          callOf(moved(it, base)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(40).map(
      (it): Making =>
        (base) => ['KV.Compact', { revision: it && base + it }],
    ),
  },
  { weight: 2, arbitrary: leases((ID) => ['Lease.LeaseGrant', { ID, TTL: 600 }]) },
  { weight: 1, arbitrary: leases((ID) => ['Lease.LeaseRevoke', { ID }]) },
  { weight: 1, arbitrary: leases(() => ['Lease.LeaseLeases', {}]) },
);

function leases(call: (id: number) => Call): fc.Arbitrary<Making> {
  return fc.constantFrom(...LEASES).map((id) => () => call(id));
}

/** A single operation goes by its own method. */
function callOf(request: TxnRequest): Call {
  const [op] = request.success;
  const isSingle = request.compare.length + request.failure.length === 0;
  if (!isSingle || request.success.length !== 1) return ['KV.Txn', request];
  if (op!.request === 'requestRange') return ['KV.Range', op!.requestRange];
  if (op!.request === 'requestPut') return ['KV.Put', op!.requestPut];
  if (op!.request === 'requestDeleteRange') return ['KV.DeleteRange', op!.requestDeleteRange];
  return ['KV.Txn', request];
}

function moved(request: TxnRequest, base: number): TxnRequest {
  const by = (revision: number | undefined): number => (revision ? revision + base : 0);
  const range = (it: RangeRequest): RangeRequest => ({
    ...it,
    revision: by(it.revision),
    minModRevision: by(it.minModRevision),
    maxModRevision: by(it.maxModRevision),
    minCreateRevision: by(it.minCreateRevision),
    maxCreateRevision: by(it.maxCreateRevision),
  });
  const op = (it: RequestOp): RequestOp => {
    if (it.request === 'requestRange') return { ...it, requestRange: range(it.requestRange) };
    if (it.request === 'requestTxn') return { ...it, requestTxn: moved(it.requestTxn, base) };
    return it;
  };
  return {
    compare: request.compare.map((it) => ({
      ...it,
      ...('createRevision' in it && { createRevision: by(it.createRevision) }),
      ...('modRevision' in it && { modRevision: by(it.modRevision) }),
    })),
    success: request.success.map(op),
    failure: request.failure.map(op),
  };
}

/** An answer without what names its server. The order of leases, which etcd has by their ends, means nothing. */
function comparable(answer: unknown): unknown {
  if (answer instanceof Uint8Array) return Buffer.from(answer).toString('latin1');
  if (Array.isArray(answer)) return answer.map(comparable);
  if (typeof answer !== 'object' || answer === null) return answer;
  const rest = Object.entries(answer).filter(
    ([name]) => !['clusterId', 'memberId', 'raftTerm'].includes(name),
  );
  const byId = (a: { ID: number }, b: { ID: number }): number => a.ID - b.ID;
  return Object.fromEntries(
    rest.map(([name, value]) => [
      name,
      name === 'leases' ? (value as { ID: number }[]).sort(byId) : comparable(value),
    ]),
  );
}

/** All events from `from` on, one by one, with what the watch says of them. */
function events(client: EtcdClient, from: number, through: number): Promise<unknown> {
  const stream = client.stream('Watch.Watch');
  const createRequest = { key: Buffer.from('\0'), rangeEnd: Buffer.from('\0') };
  stream.write({ createRequest: { ...createRequest, startRevision: from, prevKv: true } });
  return new Promise((resolve, reject) => {
    const found: { kv: { modRevision: number } }[] = [];
    stream.on('error', (error) => reject(error));
    stream.on('data', (answer) => {
      found.push(...(answer['events'] as typeof found));
      const end = found.at(-1)?.kv.modRevision ?? 0;
      if (end < through && answer['canceled'] !== true) return;
      stream.removeAllListeners('error').on('error', () => {});
      stream.cancel();
      resolve(comparable({ found, canceled: answer['canceled'] }));
    });
  });
}

describeWith('etcd', 'beside etcd itself', () => {
  test(`each of ${REQUESTS} requests is answered alike, and so is a watch of all that came of them`, async () => {
    await using etcd = await startEtcd();
    await using store = await startStore();
    const [theirs, ours] = [new EtcdClient(etcd.address), new EtcdClient(store.grpc)];
    let [revision, compacted] = [1, 0];
    let refused = 0;
    const calls = fc.sample(anyCall, { numRuns: REQUESTS, seed: SEED });
    for (const makeCall of [() => callOf(withinOne), ...calls]) {
      const [method, request] = makeCall(Math.max(0, revision - LATEST));
      const answer = await theirs.outcome(method, request);
      expect({ method, request, answer: comparable(await ours.outcome(method, request)) }).toEqual({
        method,
        request,
        answer: comparable(answer),
      });
      if ('code' in answer) refused++;
      else {
        revision = (answer as { header: { revision: number } }).header.revision;
        if (method === 'KV.Compact') compacted = (request as { revision: number }).revision;
      }
    }
    // Or nothing was compared.
    expect(revision).toBeGreaterThan(REQUESTS / 8);
    expect(refused).toBeGreaterThan(REQUESTS / 40);
    expect(refused).toBeLessThan(REQUESTS / 2);
    // At least one event is behind whatever was compacted.
    for (const it of [theirs, ours]) await it.call('KV.Put', { key: Buffer.from('last') });
    revision++;
    // etcd 3.4 forgets what was deleted by the revision itself that is compacted.
    const from = compacted + 1;
    expect(await events(ours, from, revision)).toEqual(await events(theirs, from, revision));
    for (const it of [theirs, ours]) it.close();
  });
});
