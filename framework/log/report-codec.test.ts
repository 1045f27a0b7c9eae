import { ReplicaReport, type ReplicaReportState, ReplicaSizes } from '../wire/gen/log.ts';
import type { ReplicaState } from './core/index.ts';
import { reportOfWire, reportToWire, sizesOfWire } from './report-codec.ts';

const numbers = { logStreamId: 7, epoch: 3, end: 99, persistedVersion: 12 };

test.each<ReplicaState>([
  'open',
  'sealed',
  'sealing',
  'restarted',
  'learning',
  'failed',
  'damaged',
])('a report that says %s arrives as it was sent', (state) => {
  const report = { ...numbers, state };
  const sent = ReplicaReport.encode(reportToWire(report));
  expect(reportOfWire(ReplicaReport.decode(sent))).toEqual(report);
});

test('parts of atomic appends arrive as they were sent', () => {
  const parked = [{ id: 2 ** 53 - 1, logStreams: [7, 2 ** 31 - 1] }];
  const waiting = [{ id: 1, logStreams: [3, 7], llsn: 90, end: 99 }];
  const report = { ...numbers, state: 'open' as const, parked, waiting };
  const sent = ReplicaReport.encode(reportToWire(report));
  expect(reportOfWire(ReplicaReport.decode(sent))).toEqual(report);
});

test('a state that is not known counts for nothing', () => {
  const wire = ReplicaReport.create({ ...numbers, state: 99 as ReplicaReportState });
  expect(reportOfWire(wire)).toEqual({ ...numbers, state: 'failed' });
});

test('sizes arrive as they were sent, and one without a log stream, or none for one, counts for nothing', () => {
  const sent = { logStreams: [7, 2 ** 31 - 1], bytes: [0, 2 ** 53 - 1] };
  const wire = ReplicaSizes.decode(ReplicaSizes.encode(ReplicaSizes.create(sent)));
  expect([...sizesOfWire(wire)]).toEqual([
    [7, 0],
    [2 ** 31 - 1, 2 ** 53 - 1],
  ]);
  expect([...sizesOfWire({ logStreams: [1, 2], bytes: [5] })]).toEqual([[1, 5]]);
  expect([...sizesOfWire({ logStreams: [1], bytes: [5, 6] })]).toEqual([[1, 5]]);
});
