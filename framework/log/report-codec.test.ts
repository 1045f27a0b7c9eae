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

test('a state that is not known counts for nothing', () => {
  const wire = ReplicaReport.create({ ...numbers, state: 99 as ReplicaReportState });
  expect(reportOfWire(wire)).toEqual({ ...numbers, state: 'failed' });
});
