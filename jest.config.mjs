const floor = (lines, branches) => ({ lines, branches });

/** Tests run from source: swc turns each TypeScript file into CommonJS as jest loads it. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{framework,apps,test}/**/*.test.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  testEnvironmentOptions: { customExportConditions: ['@varlog/source', 'node', 'node-addons'] },
  setupFilesAfterEnv: ['<rootDir>/test/after-each.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist'],
  testSequencer: '<rootDir>/infra/longest-first.mjs',
  // One more than a small machine has cores: tests on real processes wait much of their time.
  maxWorkers: 3,
  // Each suite leaves some of its modules behind in its worker: of hundreds of suites more than a worker may hold.
  workerIdleMemoryLimit: '1.5GB',
  // `npm run coverage`: what the tests beside the code run through. Counters that are compiled in, because V8's own
  // take comments for code, and a file that has types only for one that nothing runs through.
  coverageProvider: 'babel',
  coverageReporters: [['text', { skipFull: true }], 'json-summary'],
  collectCoverageFrom: [
    '{framework,apps}/**/*.ts',
    '!**/{*.test,*.fixture,index}.ts',
    '!**/gen/**',
    // Programs and containers: test/process and test/integration run them.
    '!{framework/node/{cli,healthcheck},apps/demo,apps/*/cli}.ts',
    '!framework/testing/containers/**',
  ],
  // Two points below what was measured, in per cent.
  coverageThreshold: {
    global: floor(95, 86),
    './framework/base/': floor(98, 93),
    './framework/log/': floor(95, 84),
    './framework/node/': floor(92, 72),
    './framework/raft/': floor(95, 87),
    './framework/runtime/': floor(96, 91),
    './framework/smr/': floor(95, 88),
    './framework/store/': floor(95, 87),
    './apps/': floor(96, 89),
  },
  // Real disks and sockets, also on a busy machine: a test that hangs is found all the same.
  testTimeout: 30_000,
};
