/** Who may import whom. `npm run lint` holds every file to it, type imports counted. */

/** The floors of framework/, and those that each stands on. `testing` and `node` know everything but each other. */
const FLOORS = {
  base: [],
  wire: ['base'],
  store: ['base', 'wire'],
  raft: ['base', 'wire', 'store'],
  smr: ['base', 'wire', 'store'],
  log: ['base', 'wire', 'store', 'raft', 'smr'],
  runtime: ['base', 'wire'],
  testing: ['base', 'wire', 'store', 'raft', 'smr', 'log', 'runtime'],
  node: ['base', 'wire', 'store', 'raft', 'smr', 'log', 'runtime'],
};

const TEST = '\\.(test|fixture)\\.ts$';
/** A published folder's index.ts may supply the real ports as defaults. */
const COMPOSITION_ROOT = '^framework/(log|raft|smr|smr/sql|testing)/index\\.ts$';
/** What runs in processes of its own, beside the simulator. */
const HOST = '^framework/testing/simulator/(run|host-[a-z-]+)\\.ts$';
/** What fails where an implementation does not do what it owes, under any test runner. */
const CONTRACTS = '^framework/testing/contracts/';
/** A command of the metadata names the message that it is written as. */
const COMMANDS = '^framework/log/core/command(s/[^/]+|-definition)\\.ts$';
const GENERATOR = '^framework/wire/generate\\.mjs$';

const floors = Object.entries(FLOORS).flatMap(([floor, below]) => [
  {
    name: `floor-${floor}`,
    comment: `${floor} may import only ${below.join(', ') || 'nothing'}`,
    severity: 'error',
    from: { path: `^framework/${floor}/`, pathNot: TEST },
    to: { path: '^framework/', pathNot: `^framework/(${[floor, 'runtime', ...below].join('|')})/` },
  },
  ...(below.includes('runtime') || floor === 'runtime'
    ? []
    : [
        {
          name: `floor-${floor}`,
          comment: 'only the index.ts of a published folder takes the real ports, as defaults',
          severity: 'error',
          from: { path: `^framework/${floor}/`, pathNot: [TEST, COMPOSITION_ROOT] },
          to: { path: '^framework/runtime/' },
        },
      ]),
]);

/** Packages that only some folders may know. */
const packages = [
  {
    package: '@grpc/',
    only: ['^framework/runtime/'],
    instead: 'use the Network port',
  },
  {
    package: '(hono|@hono)/',
    only: ['^framework/(runtime|node)/'],
    instead: 'serve HTTP with httpServer of runtime',
  },
  {
    package: '(protobufjs|long)/',
    only: ['^framework/wire/'],
    instead: "use the codecs in '../wire/gen'",
  },
  {
    package: 'typeorm/',
    only: ['^framework/(log|smr|testing)/sql/'],
    instead:
      'keep SQL in smr/sql, log/sql and testing/sql, which are loaded only by those who use it',
  },
  {
    package: '@aws-sdk/',
    only: ['^framework/smr/s3/'],
    instead: 'keep it in smr/s3, which is loaded only by those who use it',
  },
  {
    package: 'testcontainers/',
    only: ['^framework/testing/containers/'],
    instead: 'keep it in testing/containers, which is loaded only by those who use it',
  },
  {
    package: 'rxjs/',
    only: ['^framework/(raft|smr|log|testing)/(?!core/)'],
    instead: 'use callbacks or AsyncIterable; Observables belong to the edge',
  },
].map((it) => ({
  name: `package-${it.package.replace(/\W+/g, '-').replace(/^-|-$/g, '')}`,
  comment: it.instead,
  severity: 'error',
  from: { path: '^framework/', pathNot: [TEST, ...it.only] },
  to: { path: `(^|/)node_modules/(${it.package})` },
}));

export const forbidden = [
  ...floors,
  ...packages,
  {
    name: 'no-circle',
    comment: 'no file imports itself through others; pass in what it needs, or move what both need',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
  {
    name: 'folder-of-the-design',
    comment: 'the folders of framework/ are its floors',
    severity: 'error',
    from: {
      path: '^framework/[^/]+/',
      pathNot: `^framework/(${Object.keys(FLOORS).join('|')})/`,
    },
    to: {},
  },
  {
    name: 'front-door',
    comment: 'import another folder through its index.ts',
    severity: 'error',
    from: { path: '^framework/([^/]+)/', pathNot: [TEST, '^framework/testing/'] },
    to: {
      path: '^framework/',
      pathNot: [
        '^framework/$1/',
        '^framework/([^/]+|log/[^/]+)/index\\.ts$',
        '^framework/wire/(gen/)?[^/]+\\.ts$',
      ],
    },
  },
  {
    name: 'front-door',
    comment: 'testing looks inside what it tests, but not inside runtime',
    severity: 'error',
    from: { path: '^framework/testing/', pathNot: TEST },
    to: { path: '^framework/runtime/(?!index\\.ts$)' },
  },
  {
    name: 'pure-core',
    comment: 'a core/ imports only base and itself; let its driver pass in what it needs',
    severity: 'error',
    from: { path: '^(framework/[^/]+/core)/', pathNot: [TEST, COMMANDS] },
    to: { pathNot: ['^$1/', '^framework/base/'] },
  },
  {
    name: 'pure-core',
    comment:
      'a command of the metadata knows the message that it is written as, and nothing else outside',
    severity: 'error',
    from: { path: COMMANDS, pathNot: TEST },
    to: { pathNot: ['^framework/log/core/', '^framework/(base|wire)/'] },
  },
  {
    name: 'outside-the-framework',
    comment: 'the framework knows neither its apps nor its tests',
    severity: 'error',
    from: { path: '^framework/', pathNot: TEST },
    to: { dependencyTypes: ['local'], pathNot: '^framework/' },
  },
  {
    name: 'by-relative-path',
    comment: 'the framework does not import itself by the name of its package',
    severity: 'error',
    from: { path: '^framework/', pathNot: TEST },
    to: { path: '^framework/', dependencyTypesNot: ['local'] },
  },
  {
    name: 'as-a-user',
    comment: "who uses the package imports what is published: 'varlog/…'",
    severity: 'error',
    from: { path: '^(apps|examples)/' },
    to: { path: '^framework/', dependencyTypes: ['local'] },
  },
  {
    name: 'ports',
    comment: 'take what you need from the Ports that are passed in',
    severity: 'error',
    from: {
      path: '^framework/',
      pathNot: [TEST, '^framework/(runtime|node)/', GENERATOR, HOST, CONTRACTS],
    },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'ports',
    comment: 'a contract asserts, and takes everything else from what is to be tested',
    severity: 'error',
    from: { path: CONTRACTS, pathNot: TEST },
    to: { dependencyTypes: ['core'], pathNot: '^(node:)?assert' },
  },
  {
    name: 'declared-package',
    comment: 'what a user of the package needs is among its dependencies or peerDependencies',
    severity: 'error',
    from: { path: '^framework/', pathNot: TEST },
    to: {
      dependencyTypes: ['npm-dev', 'npm-no-pkg', 'unknown'],
      dependencyTypesNot: ['npm', 'npm-peer'],
    },
  },
  {
    name: 'not-found',
    comment: 'nothing is there',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
];

export const options = {
  parser: 'tsc',
  tsPreCompilationDeps: true,
  doNotFollow: { path: 'node_modules' },
  exclude: { path: '^dist/' },
  enhancedResolveOptions: {
    exportsFields: ['exports'],
    conditionNames: ['@varlog/source', 'import', 'node', 'default', 'types'],
    extensions: ['.ts', '.mjs', '.js', '.json', '.d.ts'],
  },
};
