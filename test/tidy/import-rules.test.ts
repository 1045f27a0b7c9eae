import { join } from 'node:path';
import { BadTree } from './bad-tree.ts';
import { ROOT } from './source.ts';

const FLOORS = ['base', 'log', 'node', 'raft', 'runtime', 'smr', 'store', 'testing', 'wire'];
const THERE = [
  ...FLOORS.map((it) => `framework/${it}/index.ts`),
  'framework/log/client/index.ts',
  'framework/raft/core/log.ts',
  'framework/raft/driver.ts',
  'framework/runtime/disk.ts',
  'framework/smr/sql/index.ts',
  'framework/wire/message.ts',
  'framework/wire/gen/raft.ts',
  'framework/node/world.ts',
  'apps/kv-store/machine.ts',
];

/** Where an import stands, what it is, and which rule it breaks. */
const BAD: [string, string, string][] = [
  ['framework/raft/', `import { a } from '../smr/index.ts';`, 'floor-raft'],
  ['framework/raft/', `import type { A } from '../smr/index.ts';`, 'floor-raft'],
  ['framework/smr/', `import { a } from '../raft/index.ts';`, 'floor-smr'],
  ['framework/base/', `import { a } from '../wire/message.ts';`, 'floor-base'],
  ['framework/log/client/', `import { a } from '../../runtime/index.ts';`, 'floor-log'],
  ['framework/node/', `import { a } from '../testing/index.ts';`, 'floor-node'],
  ['framework/testing/', `import { a } from '../node/index.ts';`, 'floor-testing'],
  ['framework/testing/', `import { a } from '../runtime/disk.ts';`, 'front-door'],
  ['framework/raft/core/', `import { a } from '../../store/index.ts';`, 'pure-core'],
  ['framework/raft/core/', `import { a } from '../driver.ts';`, 'pure-core'],
  ['framework/raft/core/', `import { Subject } from 'rxjs';`, 'pure-core'],
  ['framework/log/', `import { a } from '../raft/core/log.ts';`, 'front-door'],
  ['framework/log/', `import { a } from '../raft/driver.ts';`, 'front-door'],
  ['framework/log/', `import fs from 'node:fs';`, 'ports'],
  ['framework/testing/contracts/', `import fs from 'node:fs';`, 'ports'],
  ['framework/log/', `const fs = await import('node:fs');`, 'ports'],
  ['framework/log/', `import { Client } from '@grpc/grpc-js';`, 'package-grpc'],
  ['framework/log/', `import protobuf from 'protobufjs';`, 'package-protobufjs-long'],
  ['framework/store/', `import { Subject } from 'rxjs';`, 'package-rxjs'],
  ['framework/smr/', `import { DataSource } from 'typeorm';`, 'package-typeorm'],
  ['framework/smr/', `import { S3Client } from '@aws-sdk/client-s3';`, 'package-aws-sdk'],
  ['framework/testing/', `import { Wait } from 'testcontainers';`, 'package-testcontainers'],
  ['framework/log/', `import { test } from 'fast-check';`, 'declared-package'],
  ['framework/log/', `import { a } from 'varlog/raft';`, 'by-relative-path'],
  [
    'framework/log/',
    `import { a } from '../../apps/kv-store/machine.ts';`,
    'outside-the-framework',
  ],
  ['framework/log/', `import { a } from './nowhere.ts';`, 'not-found'],
  ['framework/pantry/', `import { a } from '../base/index.ts';`, 'folder-of-the-design'],
  ['apps/kv-store/', `import { a } from '../../framework/log/index.ts';`, 'as-a-user'],
  ['examples/', `import { a } from '../framework/log/index.ts';`, 'as-a-user'],
];

const GOOD: [string, string][] = [
  ['framework/log/ok-1.ts', `import { a } from '../raft/index.ts';`],
  ['framework/log/ok-2.ts', `import { a } from '../wire/gen/raft.ts';`],
  ['framework/smr/sql/index.ts', `import { a } from '../../runtime/index.ts';`],
  ['framework/raft/core/ok-1.ts', `import { a } from '../../base/index.ts';`],
  ['framework/raft/core/ok-2.ts', `import { a } from './log.ts';`],
  ['framework/raft/ok.test.ts', `import { a } from '../testing/index.ts';`],
  ['framework/testing/ok.ts', `import { a } from '../raft/driver.ts';`],
  ['framework/testing/contracts/ok.ts', `import assert from 'node:assert/strict';`],
  ['framework/runtime/ok.ts', `import fs from 'node:fs';`],
  ['framework/log/ok-3.ts', `// import fs from 'node:fs';`],
  ['apps/kv-store/ok.ts', `import { a } from 'varlog/log';`],
];

/** Type imports count. */
const CIRCLE = {
  'framework/store/one.ts': `import type { A } from './two.ts';`,
  'framework/store/two.ts': `import { a } from './one.ts';`,
};

test('each rule about imports finds what it is made for, and nothing else', () => {
  const files = Object.fromEntries([
    ...THERE.map((it) => [it, 'export const a = 1;\n']),
    ...BAD.map(([folder, text], i) => [`${folder}bad-${i}.ts`, `${text}\n`]),
    ...GOOD,
    ...Object.entries(CIRCLE),
  ]) as Record<string, string>;
  using tree = new BadTree(files, ['package.json']);
  const report = tree.run([join(ROOT, 'infra/imports/check.mjs'), 'framework', 'apps', 'examples']);
  const found = [...report.matchAll(/error ([\w-]+): (\S+) →/g)].map(([, rule, path]) => ({
    rule,
    path,
  }));
  for (const [i, [folder, text, rule]] of BAD.entries()) {
    const path = `${folder}bad-${i}.ts`;
    const rules = found.filter((it) => it.path === path).map((it) => it.rule);
    expect([text, rules]).toEqual([text, expect.arrayContaining([rule])]);
  }
  expect(found.filter((it) => it.rule === 'no-circle').map((it) => it.path)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^framework\/store\/(one|two)\.ts$/)]),
  );
  expect(found.filter((it) => GOOD.some(([path]) => path === it.path))).toEqual([]);
});
