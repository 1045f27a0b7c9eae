import { inPieces } from 'varlog/smr';
import { op, putRequest } from './etcd/requests.fixture.ts';
import { type Key, keyOfText } from './key.ts';
import { KvMachine, type KvSnapshot } from './machine.ts';
import { TimedLog } from './timed-log.fixture.ts';
import type { Version } from './version.ts';

const LEASES = 1_700;
const KEYS = 6_000;

/** Keys, most of them behind the changes that are remembered, many with leases. */
function filled(): KvMachine {
  const machine = new KvMachine({ changesMax: 2_000 });
  const log = new TimedLog();
  let position = 0;
  for (let lease = 1; lease <= LEASES; lease++)
    log.apply(machine, { op: 'grant', lease, ttl: 1e6 }, ++position, 0);
  for (let i = 0; i < KEYS; i++) {
    const lease = i % (LEASES + 1);
    const put = op({ requestPut: putRequest(`key ${i}`, `${i}`, { lease }) });
    const request = { compare: [], success: [put], failure: [] };
    log.apply(machine, { op: 'transact', request }, ++position, 0);
  }
  return machine;
}

test('a state is restored as its pieces come, and is the old one until it has all of them', async () => {
  const from = filled();
  const pieces = [...from.snapshot().begin()];
  for (const { leases, base, changes } of pieces) {
    expect(leases.length).toBeLessThanOrEqual(500);
    expect(base.length + changes.length).toBeLessThanOrEqual(1_000);
  }
  const to = new KvMachine();
  const seen = new Set<Version>();
  let most = 0;
  const shown = (version: Version): Version => {
    const { key } = version;
    return Object.defineProperty({ ...version }, 'key', {
      get(this: Version): Key {
        seen.add(this);
        return key;
      },
    });
  };
  function* watched(): Generator<KvSnapshot> {
    for (const piece of pieces) {
      most = Math.max(most, seen.size);
      seen.clear();
      expect([to.size, to.leaseCount]).toEqual([0, 0]);
      yield { ...piece, base: piece.base.map(shown), changes: piece.changes.map(shown) };
    }
    most = Math.max(most, seen.size);
    seen.clear();
  }
  await to.restore(inPieces(watched()));
  expect(most).toBeGreaterThan(0);
  expect(Math.max(most, seen.size)).toBeLessThanOrEqual(1_000);
  expect([to.size, to.leaseCount, to.revision]).toEqual([KEYS, LEASES, from.revision]);
  for (let lease = 1; lease <= LEASES; lease += 100)
    expect([...to.keysOfLease(lease)]).toEqual([...from.keysOfLease(lease)]);
  expect(to.inspect('key 7')).toEqual(from.inspect('key 7'));
  expect(to.get(keyOfText('none'))).toBeUndefined();
});
