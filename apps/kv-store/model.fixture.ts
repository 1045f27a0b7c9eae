import type {
  Compare,
  KeyValue,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from './etcd/messages.ts';
import type { EtcdCommand, EtcdResult } from './machine.ts';
import type { Refusal } from './refusal.ts';

interface Item {
  value: string;
  created: number;
  mod: number;
  version: number;
  lease: number;
}

type Items = ReadonlyMap<string, Item>;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const NONE: Item = { value: '', created: 0, mod: 0, version: 0, lease: 0 };

/** What the machine is to do, said as plainly as possible: a copy of all keys for each revision that ever was. */
export class Model {
  readonly past = new Map<number, Items>([[1, new Map()]]);
  readonly leases = new Map<number, { ttl: number; expiresAt: number }>();
  revision = 1;
  compacted = 0;

  get items(): Items {
    return this.past.get(this.revision)!;
  }

  apply(command: EtcdCommand, time: number): EtcdResult {
    this.expire(time);
    const { revision, past } = this;
    try {
      const result = this.perform(command, time);
      return { revision: this.revision, ...result };
    } catch (refused) {
      if (typeof refused !== 'string') throw refused;
      this.revision = revision;
      past.delete(revision + 1);
      return { revision, refused: refused as Refusal };
    }
  }

  private perform(command: EtcdCommand, time: number): Partial<EtcdResult> {
    const { leases } = this;
    switch (command.op) {
      case 'transact': {
        const next = new Map(this.items);
        const before = this.revision;
        this.checkPuts(command.request);
        const txn = this.transact(command.request, this.items, next, before);
        return { revision: this.revision, txn: { ...txn, header: { revision: this.revision } } };
      }
      case 'compact':
        if (command.revision > this.revision) throw 'futureRevision';
        if (command.revision <= this.compacted) throw 'compacted';
        this.compacted = command.revision;
        return {};
      case 'grant': {
        if (leases.has(command.lease)) throw 'leaseExists';
        const { ttl } = command;
        leases.set(command.lease, { ttl, expiresAt: time + ttl * 1_000 });
        return { ttl };
      }
      case 'keepAlive': {
        const lease = leases.get(command.lease);
        if (lease === undefined) throw 'leaseNotFound';
        lease.expiresAt = time + lease.ttl * 1_000;
        return { ttl: lease.ttl };
      }
      default:
        if (!leases.delete(command.lease)) throw 'leaseNotFound';
        this.end(command.lease);
        return { revision: this.revision };
    }
  }

  private expire(time: number): void {
    const over = [...this.leases].filter(([, { expiresAt }]) => expiresAt <= time);
    for (const [id] of over.sort(([, a], [, b]) => a.expiresAt - b.expiresAt)) {
      this.leases.delete(id);
      this.end(id);
    }
  }

  private end(lease: number): void {
    const rest = new Map([...this.items].filter(([, item]) => item.lease !== lease));
    if (rest.size < this.items.size) this.past.set(++this.revision, rest);
  }

  /** What is wrong with a put is found before what is wrong with a read. */
  private checkPuts({ compare, success, failure }: TxnRequest): void {
    const isMet = compare.every((it) => holds(this.items, it));
    for (const op of isMet ? success : failure) {
      if (op.request === 'requestTxn') this.checkPuts(op.requestTxn);
      if (op.request !== 'requestPut') continue;
      const { key, lease, ignoreValue, ignoreLease } = op.requestPut;
      if ((ignoreValue || ignoreLease) && !this.items.has(text(key))) throw 'keyNotFound';
      if (lease !== 0 && !this.leases.has(lease)) throw 'leaseNotFound';
    }
  }

  private transact(
    { compare, success, failure }: TxnRequest,
    before: Items,
    next: Map<string, Item>,
    begun: number,
  ): TxnResponse {
    const succeeded = compare.every((it) => holds(before, it));
    const responses = (succeeded ? success : failure).map((it) =>
      this.one(it, before, next, begun),
    );
    return { header: { revision: 0 }, succeeded, responses };
  }

  private one(op: RequestOp, before: Items, next: Map<string, Item>, begun: number): ResponseOp {
    const changed = (): void => {
      this.revision = begun + 1;
      this.past.set(this.revision, next);
    };
    const header = () => ({ revision: this.revision });
    switch (op.request) {
      case 'requestTxn':
        return { responseTxn: this.transact(op.requestTxn, before, next, begun) };
      case 'requestRange': {
        const found = this.range(op.requestRange, next, begun);
        return { responseRange: { header: header(), ...found } };
      }
      case 'requestPut': {
        const { lease, ignoreValue, ignoreLease, prevKv, ...it } = op.requestPut;
        const key = text(it.key);
        const old = next.get(key);
        changed();
        next.set(key, {
          value: ignoreValue ? old!.value : text(it.value),
          created: old?.created ?? this.revision,
          mod: this.revision,
          version: (old?.version ?? 0) + 1,
          lease: ignoreLease ? old!.lease : lease,
        });
        return {
          responsePut: { header: header(), ...(prevKv && old && { prevKv: kv(key, old) }) },
        };
      }
      case 'requestDeleteRange': {
        const { key, rangeEnd, prevKv } = op.requestDeleteRange;
        const found = inOrder(next).filter(([name]) => isIn(name, text(key), text(rangeEnd)));
        if (found.length > 0) changed();
        for (const [name] of found) next.delete(name);
        const prevKvs = prevKv ? found.map((it) => kv(...it)) : [];
        return { responseDeleteRange: { header: header(), deleted: found.length, prevKvs } };
      }
    }
  }

  private range(request: RangeRequest, next: Items, begun: number): RangeResponse {
    const { revision } = request;
    if (revision > begun) throw 'futureRevision';
    if (revision > 0 && revision < this.compacted) throw 'compacted';
    return rangeOf(revision > 0 ? this.past.get(revision)! : next, request);
  }
}

function rangeOf(items: Items, request: RangeRequest): RangeResponse {
  const { limit, sortOrder, sortTarget, keysOnly, countOnly } = request;
  const all = inOrder(items).filter(([key]) =>
    isIn(key, text(request.key), text(request.rangeEnd)),
  );
  const count = all.length;
  if (countOnly) return { kvs: [], more: false, count };
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  let found = all.filter(
    ([, { mod, created }]) =>
      mod >= minModRevision &&
      mod <= (maxModRevision || 1e9) &&
      created >= minCreateRevision &&
      created <= (maxCreateRevision || 1e9),
  );
  const isBounded =
    minModRevision !== 0 ||
    maxModRevision !== 0 ||
    minCreateRevision !== 0 ||
    maxCreateRevision !== 0;
  // What is sorted without an order are the first keys.
  if (sortOrder === 0 && limit > 0 && !isBounded) found = found.slice(0, limit + 1);
  const by = ([key, { version, created, mod, value }]: [string, Item]) =>
    [key, version, created, mod, value][sortTarget]!;
  const sign = sortOrder === 2 ? -1 : 1;
  // Keys that are equal in what they are sorted by stay in their order.
  found.sort((a, b) => (by(a) < by(b) ? -sign : by(a) > by(b) ? sign : 0));
  const more = limit > 0 && found.length > limit;
  if (more) found = found.slice(0, limit);
  const kvs = found.map(([key, item]) => {
    const { value, ...rest } = kv(key, item);
    return keysOnly ? rest : { ...rest, value: value! };
  });
  return { kvs, more, count };
}

function inOrder(items: Items): [string, Item][] {
  return [...items].sort(([a], [b]) => (a < b ? -1 : 1));
}

function isIn(key: string, from: string, end: string): boolean {
  if (end === '') return key === from;
  return key >= from && (end === '\0' || key < end);
}

function holds(items: Items, compare: Compare): boolean {
  const found = inOrder(items)
    .filter(([key]) => isIn(key, text(compare.key), text(compare.rangeEnd)))
    .map(([, item]) => item);
  if (found.length === 0 && compare.target === 3) return false;
  const of = found.length === 0 ? [NONE] : found;
  return of.every((item) => {
    const [a, b] = [
      [item.version, compare.version ?? 0],
      [item.created, compare.createRevision ?? 0],
      [item.mod, compare.modRevision ?? 0],
      [item.value, text(compare.value ?? new Uint8Array())],
      [item.lease, compare.lease ?? 0],
    ][compare.target]!;
    return [a === b, a! > b!, a! < b!, a !== b][compare.result];
  });
}

function kv(key: string, { value, created, mod, version, lease }: Item): KeyValue {
  const bytes = { key: Buffer.from(key, 'latin1'), value: Buffer.from(value, 'latin1') };
  return { ...bytes, createRevision: created, modRevision: mod, version, lease };
}
