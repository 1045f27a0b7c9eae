import { assertLogTimes, LOG_TIMES } from './timing.ts';

const wrong: readonly [string, Partial<typeof LOG_TIMES>][] = [
  ['two keepalives in an election timeout', { keepaliveMs: 351 }],
  ['each keepalive is answered', { answerAfterMs: 350 }],
  ['does not speak unasked', { quietMaxMs: 700 }],
  ['a node that speaks is not missed', { quietMaxMs: 800 }],
  ['a node that speaks is not missed', { stallMarginMs: 300 }],
  ['one sign of life of two', { speakAgainMs: 500 }],
  ['held up notices it', { stallMs: 350, nodeSilenceMaxMs: 1_200 }],
  ['when another one may lead', { suspectLeaderAfterMs: 700 }],
  ['waits for the election', { leaderSilenceMaxMs: 1_400 }],
  ['before they are lost to it', { askWhoLeadsAgainMs: 200 }],
  ['less and less often', { sessionRetryMaxMs: 20 }],
  ['sees a lost node in time', { nodeLostAfterMs: 140, repairEveryMs: 150 }],
  ['a laggard is late', { laggardGraceMs: 90 }],
  ['rests when all is well', { repairAtRestEveryMs: 100 }],
  ['sees a silent primary first', { suspectPrimaryAfterMs: 1_000 }],
  ['looks again before long', { lookUpAgainMs: 500 }],
  ['before one is left', { hedgeAfterMs: 1_500 }],
  ['that elects is not left', { tryTimeoutMs: 1_400 }],
  ['a call waits for the election', { leaderAwaitedMs: 1_200 }],
  ['says in time that nobody leads', { leaderAwaitedMs: 2_000 }],
  ['tries two members', { connectTimeoutMs: 3_000 }],
  ['an append outlives a failover', { callTimeoutMs: 6_000 }],
  ['that opens outlives a failover', { openTimeoutMs: 3_000 }],
  ['fails before its caller does', { sealedTimeoutMs: 5_000 }],
];

test.each(wrong)('the constants go together: %s', (relation, change) => {
  expect(() => assertLogTimes(LOG_TIMES)).not.toThrow();
  expect(() => assertLogTimes({ ...LOG_TIMES, ...change })).toThrow(relation);
});
