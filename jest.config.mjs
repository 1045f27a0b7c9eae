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
  maxWorkers: 2,
  // `npm run coverage`: what the tests beside the code run through.
  coverageProvider: 'v8',
  coverageReporters: ['text-summary', 'json-summary'],
  collectCoverageFrom: ['framework/**/*.ts', '!**/*.{test,fixture}.ts', '!framework/wire/gen/**'],
  // Real disks and sockets, also on a busy machine: a test that hangs is found all the same.
  testTimeout: 30_000,
};
