import { ReplicaReport, type ReplicaReportState } from '../wire/gen/log.ts';
import type { ReplicaState } from './core/index.ts';
import { reportOfWire, reportToWire } from './report-codec.ts';

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
