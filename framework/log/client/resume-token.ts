import { type Glsn, glsn, type TopicId, VarlogError } from '../../base/index.ts';

/**
 * A place in a topic, to be kept by a program: after a record, of one topic, of one cluster. Unlike a bare GLSN
 * it is refused where it does not belong, also by a cluster that was made anew at the same addresses.
 */
export type ResumeToken = `varlog:${string}`;

export function resumeToken(cluster: string, topic: TopicId, position: Glsn): ResumeToken {
  return `varlog:${cluster}:${topic}:${position}`;
}

export function isResumeToken(value: unknown): value is ResumeToken {
  return typeof value === 'string' && value.startsWith('varlog:');
}

/**
 * The position after which a token goes on. Throws `INVALID_ARGUMENT` for what is no token or one of another
 * topic, `CLUSTER_MISMATCH` for one of another cluster.
 */
export function positionOf(token: ResumeToken, cluster: string, topic: TopicId): Glsn {
  const [, ofCluster, ofTopic, at] = /^varlog:([^:]+):(\d+):(\d+)$/.exec(token) ?? [];
  if (at === undefined) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `"${token}" is no resume token`,
      next: 'pass what entry.resumeToken gave',
    });
  }
  if (ofCluster !== cluster) {
    throw new VarlogError('CLUSTER_MISMATCH', {
      what: `the resume token is of cluster ${ofCluster}, and this is cluster ${cluster}`,
      because: 'the cluster was made anew, or the endpoints are of another one',
      next: 'connect to the other cluster; or discard what was derived from it, and read from the start',
      details: { expected: ofCluster, found: cluster },
    });
  }
  if (Number(ofTopic) === topic) return glsn(Number(at));
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the resume token is of topic ${ofTopic}, and this is topic ${topic}`,
    next: 'keep a token for each topic',
  });
}
