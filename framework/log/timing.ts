import { assert } from '../base/index.ts';

/**
 * The times of the log's roles that depend on each other, in milliseconds. A time on which no other one depends stands
 * where it is used.
 */
export const LOG_TIMES = {
  /**
   * The leader tells nodes so often that it is alive, also when there is nothing else to say; they answer at once. Every other
   * time will do where it hears their process by Raft too.
   */
  keepaliveMs: 350,
  /** A leader that stands still stops every append: it is replaced sooner than in other Raft groups. */
  electionTimeoutMs: 700,

  /** A node that has said nothing for so long answers whatever the leader says. */
  answerAfterMs: 200,
  /** A node that has said nothing for so long, because there was nothing to answer, speaks unasked. */
  quietMaxMs: 720,
  /** And again after so long. */
  speakAgainMs: 350,
  /** A node that was silent for so long is taken for lost by the leader. */
  nodeSilenceMaxMs: 1_000,
  /** A keepalive that comes so late shows that the leader's process was held up: nobody could be heard meanwhile. */
  stallMs: 100,
  /** What was sent before a stall may have waited for so long already. */
  stallMarginMs: 200,

  /** When the leader has said nothing for so long, another member is asked whether it still leads. */
  suspectLeaderAfterMs: 720,
  /** And again after so long. */
  askWhoLeadsAgainMs: 50,
  /** A node leaves a leader that was silent for so long, whoever leads. */
  leaderSilenceMaxMs: 1_500,
  /** A node that finds no leader tries again after so long, at first and at most. */
  sessionRetryMinMs: 20,
  sessionRetryMaxMs: 500,

  /** The log streams of a node without a link for so long go on without it: a restarted process is mostly back sooner. */
  nodeLostAfterMs: 300,
  /** Live replicas that still fetch are waited for so long before a log stream opens without them. */
  laggardGraceMs: 300,
  /** The repair looks so often while not all is as it should be. */
  repairEveryMs: 100,
  /** And so often while it is: whatever changes that is told. */
  repairAtRestEveryMs: 1_000,

  /** The repair seals a log stream that has waited for so long for the other parts of an atomic append. */
  partWaitMaxMs: 1_000,
  /** A part of an atomic append waits so long at its primary, in nobody's way, until all others are at theirs. */
  parkedMs: 4_000,

  /** A storage node that owes an appender an answer for so long is suspected, and its log streams are looked up again. */
  suspectPrimaryAfterMs: 500,
  /** And again after so long, while it owes the answer. */
  lookUpAgainMs: 100,
  /** A member that has not answered a client by then may stand still: the next one is asked beside it. */
  hedgeAfterMs: 250,
  /** A member that does not answer a client for so long is left for another one. */
  tryTimeoutMs: 2_000,
  /** A member that knows no leader waits for so long for one, and then has its caller ask another member. */
  leaderAwaitedMs: 1_500,
  /** How long a client looks for its cluster. */
  connectTimeoutMs: 5_000,
  /** How long a call or an append takes at most that names no time, also one that a member passes on to the leader. */
  callTimeoutMs: 10_000,
  /** Replicas of a sealed log stream are waited for so long until one of them says that it holds all of it. */
  sealedTimeoutMs: 2_000,
  /** A log stream is waited for so long until its primary takes appends. */
  openTimeoutMs: 5_000,
};

/** Throws `INVARIANT` for times that do not go together. */
export function assertLogTimes(times: typeof LOG_TIMES): void {
  const { keepaliveMs, electionTimeoutMs, quietMaxMs, nodeSilenceMaxMs, nodeLostAfterMs } = times;
  // Keepalives come with the heartbeats of Raft, of which one may be lost.
  assert(keepaliveMs * 2 <= electionTimeoutMs, 'two keepalives in an election timeout');

  // A node that answers each keepalive need not speak unasked, so that an idle cluster is quiet.
  assert(times.answerAfterMs < keepaliveMs, 'each keepalive is answered');
  assert(quietMaxMs > keepaliveMs * 2, 'a node whose leader is well does not speak unasked');
  assert(
    keepaliveMs * 2 < nodeSilenceMaxMs,
    'a node is asked whether it lives before it is missed',
  );
  // What a node says may be on its way for a while, and the leader held up by less than it notices.
  const unheardMs = Math.max(times.stallMs, times.stallMarginMs);
  assert(quietMaxMs + unheardMs < nodeSilenceMaxMs, 'a node that speaks is not missed');
  assert(times.speakAgainMs * 2 < nodeSilenceMaxMs, 'one sign of life of two may be lost');
  assert(times.stallMs < keepaliveMs, 'a leader that is held up notices it before it misses nodes');

  // Asked sooner, the others cannot have elected anybody yet, and one keepalive may be lost.
  const suspectMs = times.suspectLeaderAfterMs;
  assert(suspectMs > electionTimeoutMs, 'a leader is suspected when another one may lead');
  // Nobody need be asked when the election, which takes up to two timeouts, is over.
  assert(times.leaderSilenceMaxMs > electionTimeoutMs * 2, 'a node waits for the election');
  // A new leader counts from its election on: nodes have to have found it before it misses them.
  const foundMs = times.askWhoLeadsAgainMs + times.sessionRetryMinMs;
  assert(foundMs * 2 <= nodeLostAfterMs, 'nodes find a new leader before they are lost to it');
  assert(times.sessionRetryMinMs < times.sessionRetryMaxMs, 'a node tries less and less often');

  assert(times.repairEveryMs <= nodeLostAfterMs, 'the repair sees a lost node in time');
  assert(times.repairEveryMs <= times.laggardGraceMs, 'the repair sees that a laggard is late');
  assert(times.repairEveryMs < times.repairAtRestEveryMs, 'the repair rests when all is well');

  // Sooner than the cluster itself, which may not see what is between an appender and a primary.
  assert(times.suspectPrimaryAfterMs < nodeSilenceMaxMs, 'an appender sees a silent primary first');
  assert(times.lookUpAgainMs < times.suspectPrimaryAfterMs, 'it looks again before long');
  assert(times.hedgeAfterMs * 2 <= times.tryTimeoutMs, 'two more are asked before one is left');
  assert(times.tryTimeoutMs > electionTimeoutMs * 2, 'a member that elects is not left');
  assert(times.leaderAwaitedMs > electionTimeoutMs * 2, 'a call waits for the election');
  assert(times.leaderAwaitedMs < times.tryTimeoutMs, 'a member says in time that nobody leads');
  assert(times.connectTimeoutMs >= times.tryTimeoutMs * 2, 'a client tries two members at least');
  // The nodes of a leader that is gone have to find the new one, and log streams another primary.
  const failoverMs =
    electionTimeoutMs * 2 + nodeSilenceMaxMs + nodeLostAfterMs + times.laggardGraceMs;
  assert(times.callTimeoutMs > failoverMs * 2, 'an append outlives a failover, and one behind it');
  assert(times.parkedMs > failoverMs, 'a part waits while another log stream goes on elsewhere');
  assert(times.callTimeoutMs > times.parkedMs * 2, 'an atomic append is tried twice');
  assert(times.openTimeoutMs > failoverMs, 'a log stream that opens outlives a failover');
  const changeMs = times.sealedTimeoutMs + times.openTimeoutMs;
  assert(times.callTimeoutMs > changeMs, 'a change of a log stream fails before its caller does');
}

assertLogTimes(LOG_TIMES);
