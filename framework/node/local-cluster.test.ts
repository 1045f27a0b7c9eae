import { startLocalCluster } from './local-cluster.ts';

test.each<[string, readonly unknown[]]>([
  ['nodes', [undefined, 0, 1.5, '3', Number.NaN]],
  ['port', [undefined, 0, -1, '9092', 65_536]],
  ['httpPort', [undefined, 0, -1, '9092', 65_536]],
  ['logStreams', [undefined, 0, 1.5, '3']],
  ['directory', [undefined, '', 5]],
  ['progress', [undefined, 'console']],
  ['signal', ['now', null, {}]],
  ['replicas', [3]],
])('no cluster is started with a bad %s, and the message names it', async (option, values) => {
  const options = {
    nodes: 1,
    port: 9_092,
    httpPort: 8_080,
    directory: '/nowhere/it/may/write',
    logStreams: 1,
    progress: () => {},
  };
  for (const value of values)
    await expect(startLocalCluster({ ...options, [option]: value })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(new RegExp(`\\b${option}\\b`)),
    });
});
