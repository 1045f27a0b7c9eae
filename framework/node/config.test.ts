import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VarlogError } from '../base/index.ts';
import { CONFIG_KEYS, resolveConfig } from './config.ts';

const problemsOf = (sources: Parameters<typeof resolveConfig>[0]): string => {
  try {
    resolveConfig(sources);
  } catch (error) {
    if (VarlogError.is(error, 'CONFIG_INVALID')) return error.message;
    throw error;
  }
  throw new Error('accepted');
};

const folder = mkdtempSync(join(tmpdir(), 'varlog-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const file = (text: string): string => {
  const path = join(folder, `node-${++files}.yaml`);
  writeFileSync(path, text);
  return path;
};

describe('configuration', () => {
  test('a single node needs none', () => {
    const config = resolveConfig({});
    expect(config.members).toEqual([{ id: 1, address: '127.0.0.1:9092' }]);
    expect(config.roles).toEqual(['metadata', 'storage']);
    expect(config).toMatchObject({ cacheBytes: 2 ** 27, pendingBytes: 2 ** 28 });
  });

  test('a record may hold 1 MiB, and up to 16 MiB where that is said', () => {
    expect(resolveConfig({}).recordBytesMax).toBe(2 ** 20);
    expect(resolveConfig({ env: { VARLOG_RECORD_BYTES_MAX: '5000' } }).recordBytesMax).toBe(5_000);
    const largest = { recordBytesMax: String(2 ** 24) };
    expect(resolveConfig({ flags: largest }).recordBytesMax).toBe(2 ** 24);
    for (const bad of ['0', '-1', '1.5', String(2 ** 24 + 1), 'much']) {
      expect(() => resolveConfig({ flags: { recordBytesMax: bad } })).toThrow(
        /recordBytesMax: .*flag --record-bytes-max/,
      );
    }
  });

  test('nodes are uneven from 64 MiB on, or from what is said', () => {
    expect(resolveConfig({}).rebalanceBytes).toBe(2 ** 26);
    expect(resolveConfig({ flags: { rebalanceBytes: '4096' } }).rebalanceBytes).toBe(4_096);
    for (const bad of ['0', '-1', '1.5', '64MiB']) {
      expect(() => resolveConfig({ flags: { rebalanceBytes: bad } })).toThrow(
        /rebalanceBytes: .*flag --rebalance-bytes/,
      );
    }
  });

  test('flags beat the environment, which beats the file', () => {
    const path = file('clusterId: 5\nnodeId: 6\nreplicationFactor: 2\n');
    const config = resolveConfig({
      file: path,
      env: { VARLOG_NODE_ID: '7', VARLOG_REPLICATION_FACTOR: '3' },
      flags: { replicationFactor: '4' },
    });
    expect([config.clusterId, config.nodeId, config.replicationFactor]).toEqual([5, 7, 4]);
  });

  test('members are read from text and from a list', () => {
    const members = [
      { id: 1, address: 'a:1' },
      { id: 2, address: 'b:2' },
    ];
    expect(resolveConfig({ flags: { members: '1=a:1,2=b:2' } }).members).toEqual(members);
    const path = file('members:\n  - { id: 1, address: "a:1" }\n  - { id: 2, address: "b:2" }\n');
    expect(resolveConfig({ file: path }).members).toEqual(members);
  });

  test('who joins names some members of the cluster, and itself by where it listens', () => {
    const flags = { nodeId: '2', memberId: '4', join: true, members: '1=a:1', listen: 'b:1' };
    expect(resolveConfig({ flags })).toMatchObject({
      nodeId: 2,
      memberId: 4,
      join: true,
      members: [
        { id: 1, address: 'a:1' },
        { id: 4, address: 'b:1' },
      ],
    });
    expect(resolveConfig({ flags: { nodeId: '2' } })).toMatchObject({ memberId: 2, join: false });
  });

  test('IPv6 addresses are written in brackets', () => {
    const flags = {
      listen: '[::]:9092',
      advertise: '[fd00::1]:9092',
      http: '[::1]:9180',
      members: '1=[fd00::1]:9092,2=[fd00::2]:9092',
    };
    const config = resolveConfig({ flags });
    expect(config).toMatchObject({ listen: '[::]:9092', http: '[::1]:9180' });
    expect(config.members[1]).toEqual({ id: 2, address: '[fd00::2]:9092' });
  });

  test('all problems are told at once, with key and origin', () => {
    const message = problemsOf({ env: { VARLOG_NODE_ID: 'x' }, flags: { listen: 'nowhere' } });
    expect(message).toContain('nodeId: ');
    expect(message).toContain('environment VARLOG_NODE_ID');
    expect(message).toMatch(/listen: must be host:port, .*given "nowhere" by flag --listen/);
  });

  test.each([
    ['a misspelt key in a file', { file: file('clusterID: 1\n') }, 'clusterID: no such key'],
    ['a file that is no mapping', { file: file('- 1\n') }, 'not a mapping'],
    ['a file that is not there', { file: '/nonexistent/x.yaml' }, 'cannot read'],
    ['a member that is not this node', { flags: { members: '2=a:1' } }, 'must name this node'],
    [
      'a member that is not this one',
      { flags: { nodeId: '1', memberId: '2', members: '1=a:1' } },
      'must name this node (memberId 2)',
    ],
    [
      'joining nobody',
      { flags: { join: 'true', members: '1=a:1' } },
      'must name some members of the cluster',
    ],
    ['the same member twice', { flags: { members: '1=a:1,1=b:1' } }, 'same id twice'],
    ['no way to the metadata repository', { flags: { roles: 'storage' } }, 'members: is needed'],
    ['an address that nobody can dial', { flags: { listen: '0.0.0.0:9092' } }, 'advertise: '],
    ['a wildcard of IPv6', { flags: { listen: '[::]:9092' } }, 'advertise: '],
    ['IPv6 without brackets', { flags: { listen: '::1:9092' } }, 'listen: must be host:port'],
    ['a port that is none', { flags: { http: 'a:65536' } }, 'http: must be host:port'],
    ['an unknown role', { flags: { roles: 'admin' } }, 'roles'],
  ])('%s is refused', (_, sources, text) => {
    expect(problemsOf(sources)).toContain(text);
  });
});

test('the help of a key says what it may be, and its default', () => {
  const help = (key: string) => CONFIG_KEYS.find((it) => it.key === key)!.help;
  expect(help('roles')).toMatch(/metadata, storage, or both \(default: metadata,storage\)$/);
  expect(help('listen')).toContain('(default: 127.0.0.1:9092)');
  expect(help('advertise')).not.toContain('default');
  expect(CONFIG_KEYS.filter((it) => it.help === '')).toEqual([]);
});
