import { done, opening, register } from '../commands.fixture.ts';
import { RESTORES_ON_REST_FROM } from '../feature-level.ts';
import { Metadata, type MetadataCommand } from '../index.ts';

describe('a deleted topic whose storage nodes were taken out meanwhile', () => {
  /** Deleted with nine records on three nodes, of which these were taken out then. */
  const without = (nodes: number[], acknowledge: 'majority' | 'all' = 'majority'): Metadata => {
    const metadata = new Metadata();
    for (const id of [1, 2, 3]) done(metadata, register(id));
    done(metadata, { kind: 'registerTopic', id: 0, acknowledge });
    done(metadata, { kind: 'registerLogStream', id: 0, topicId: 1, replicas: [1, 2, 3] });
    done(metadata, opening(1, [1, 2, 3]));
    const entry = { logStreamId: 1, epoch: 1, end: 9, persistedVersion: 0 };
    done(metadata, { kind: 'cut', entries: [entry] });
    done(metadata, { kind: 'preferPrimary', id: 1, node: 2 });
    done(metadata, { kind: 'unregisterTopic', id: 1 });
    for (const id of nodes) done(metadata, { kind: 'unregisterStorageNode', id });
    return metadata;
  };
  const restore: MetadataCommand = { kind: 'restoreTopic', id: 1 };

  test('comes back on the others, which have all of its records, and is to get a replica in their place', () => {
    const metadata = without([2]);
    done(metadata, { kind: 'raiseFeatureLevel', to: RESTORES_ON_REST_FROM });
    done(metadata, restore);
    expect(metadata.logStreams.get(1)).toMatchObject({
      ...{ end: 9, sealed: true, replicas: [1, 3], members: [1, 3] },
      ...{ replicationFactor: 3, preferred: 0 },
    });
    done(metadata, opening(2, [1, 3]));
  });

  test('does not where its records may be on none of the others, and stays remembered', () => {
    const metadata = without([2, 3]);
    done(metadata, { kind: 'raiseFeatureLevel', to: RESTORES_ON_REST_FROM });
    expect(metadata.apply(restore).result).toMatchObject({
      code: 'FAILED_PRECONDITION',
      what: expect.stringMatching(/taken out since \(2, 3\).*may be on none/),
      next: expect.stringContaining('register them again'),
    });
    for (const id of [2, 3]) done(metadata, register(id));
    done(metadata, restore);
    const all = without([2, 3], 'all');
    done(all, { kind: 'raiseFeatureLevel', to: RESTORES_ON_REST_FROM });
    done(all, restore);
    expect(all.logStreams.get(1)).toMatchObject({ replicas: [1] });
  });

  test('waits for the new version on all members, which would not do the same', () => {
    const metadata = without([2]);
    done(metadata, { kind: 'raiseFeatureLevel', to: RESTORES_ON_REST_FROM - 1 });
    expect(metadata.apply(restore).result).toMatchObject({
      code: 'FAILED_PRECONDITION',
      next: expect.stringContaining('upgrade'),
    });
  });
});
