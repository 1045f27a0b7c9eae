import fc from 'fast-check';
import { startStore } from '../store.fixture.ts';
import { describeWith, EtcdClient, startEtcd } from './etcd.fixture.ts';
import type { RangeRequest, RequestOp, TxnRequest } from './messages.ts';
import { anyRequest, isAccepted, LEASES, withinOne } from './requests.fixture.ts';
import { type AnyWatch, anyWatch, keyOf, Watches } from './watches.fixture.ts';

/** Of requests, one after the other; revisions in them are about those that there are now. */
const REQUESTS = Number(process.env['ETCD_REQUESTS'] ?? 300);
const SEED = Number(process.env['SEED'] ?? 1);
/** Revisions of requests are up to 40, and most of the last ones are to be met. */
const LATEST = 32;
/** From the beginning on, and as many from the end on, back to where they are told to begin. */
const WATCHES = 12;

type Call = readonly [method: string, request: object];

/** Here more is refused for a key that is written twice: what etcd looks at with less care. */
function isRefusedAlike(request: TxnRequest): boolean {
  if (isAccepted(request)) return true;
  return [...request.success, ...request.failure].every(
    (it) =>
      it.request !== 'requestTxn' &&
      (it.request !== 'requestDeleteRange' || it.requestDeleteRange.rangeEnd[0] !== 0),
  );
}

/** Made when the newest revisions are known. */
type Making = (base: number) => Call;
const anyCall: fc.Arbitrary<Making> = fc.oneof(
  {
    weight: 12,
    arbitrary: anyRequest.filter(isRefusedAlike).map(
      (it): Making =>
        (base) =>
          callOf(moved(it, base)),
    ),
  },
  {
    weight: 1,
    // etcd takes 0 once, for nothing.
    arbitrary: fc.nat(40).map(
      (it): Making =>
        (base) => ['KV.Compact', { revision: it === 0 ? -1 : base + it }],
    ),
  },
  { weight: 2, arbitrary: leases((ID) => ['Lease.LeaseGrant', { ID, TTL: 600 }]) },
  { weight: 1, arbitrary: leases((ID) => ['Lease.LeaseRevoke', { ID }]) },
  { weight: 1, arbitrary: leases((ID) => ['Lease.LeaseTimeToLive', { ID, keys: true }]) },
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

/**
 * An answer without what names its server, or counts down. The orders of leases, which etcd has by their ends, and of the
 * keys of one, which it has in none, mean nothing.
 */
function comparable(answer: unknown): unknown {
  if (answer instanceof Uint8Array) return Buffer.from(answer).toString('latin1');
  if (Array.isArray(answer)) return answer.map(comparable);
  if (typeof answer !== 'object' || answer === null) return answer;
  const without = ['clusterId', 'memberId', 'raftTerm'];
  if ('grantedTTL' in answer && answer.grantedTTL !== 0) without.push('TTL');
  const rest = Object.entries(answer).filter(([name]) => !without.includes(name));
  const inOrder = (all: unknown[]): unknown[] =>
    all.map((it) => JSON.stringify(comparable(it))).sort();
  return Object.fromEntries(
    rest.map(([name, value]) => [
      name,
      name === 'leases' || name === 'keys' ? inOrder(value as unknown[]) : comparable(value),
    ]),
  );
}

function revisionOf(answer: object): number {
  return (answer as { header: { revision: number } }).header.revision;
}

describeWith('etcd', 'beside etcd itself', () => {
  test(`each of ${REQUESTS} requests is answered alike, and watches see the same`, async () => {
    await using etcd = await startEtcd();
    await using store = await startStore();
    const [theirs, ours] = [new EtcdClient(etcd.address), new EtcdClient(store.grpc)];
    /** Has both do it, and gives their answer. */
    const both = async (method: string, request: object): Promise<object> => {
      const answer = await theirs.outcome(method, request);
      const own = await ours.outcome(method, request);
      expect({ method, request, answer: comparable(own) }).toEqual({
        method,
        request,
        answer: comparable(answer),
      });
      return answer;
    };
    const [seenByThem, seenByUs] = [new Watches(theirs), new Watches(ours)];
    const watched: { id: number; watch: AnyWatch }[] = [];
    const create = async (watch: AnyWatch, start: number): Promise<void> => {
      const answer = await seenByThem.create(watch, start);
      const own = await seenByUs.create(watch, start);
      expect({ watch, start, answer: own }).toEqual({ watch, start, answer });
      if (answer.canceled === false) watched.push({ id: answer.watchId!, watch });
    };
    const [present, past] = [SEED, SEED + 1].map((seed) =>
      fc.sample(anyWatch, { numRuns: WATCHES, seed }),
    );
    for (const it of present!) await create(it, 0);

    let [revision, compacted] = [1, 0];
    let refused = 0;
    const calls = fc.sample(anyCall, { numRuns: REQUESTS, seed: SEED });
    for (const key of ['c', 'b', 'a'].map((it) => Buffer.from(it)))
      revision = revisionOf(await both('KV.Put', { key }));
    const all = { key: Buffer.from('a'), rangeEnd: Buffer.from('z') };
    // Seldom drawn: what is sorted without an order, and a bound below zero.
    await both('KV.Range', { ...all, limit: 1, sortTarget: 3 });
    await both('KV.Range', { ...all, maxModRevision: -1 });
    for (const makeCall of [() => callOf(withinOne), ...calls]) {
      const [method, request] = makeCall(Math.max(0, revision - LATEST));
      const answer = await both(method, request);
      if ('code' in answer) refused++;
      else {
        revision = revisionOf(answer);
        if (method === 'KV.Compact') compacted = (request as { revision: number }).revision;
      }
    }
    // Or nothing was compared.
    expect(revision).toBeGreaterThan(REQUESTS / 8);
    expect(refused).toBeGreaterThan(REQUESTS / 40);
    expect(refused).toBeLessThan(REQUESTS / 2);

    // etcd 3.4 forgets what was deleted by the revision itself that is compacted.
    const starts = Array.from({ length: revision }, (_, i) => i + 1).filter(
      (it) => it !== compacted,
    );
    // etcd does not give the id of a watch again whose past was compacted.
    for (const it of past!)
      await create({ ...it, watchId: 0 }, starts[it.startRevision % starts.length]!);
    // Each watch sees one of two at least.
    for (const { id, watch } of watched) {
      const key = keyOf(watch);
      await both('KV.Put', { key });
      revision = revisionOf(await both('KV.DeleteRange', { key }));
      const last = watch.filters.includes(1) ? revision - 1 : revision;
      const seen = comparable(await seenByUs.seenBy(id, last));
      expect({ watch, seen }).toEqual({
        watch,
        seen: comparable(await seenByThem.seenBy(id, last)),
      });
    }
    expect(watched.length).toBeGreaterThan(WATCHES / 2);
    for (const it of [seenByThem, seenByUs, theirs, ours]) it.close();
  });
});
