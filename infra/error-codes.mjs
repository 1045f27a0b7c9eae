/**
 * Makes docs/errors.md from the comments in framework/base/errors.ts and the tables of gRPC statuses and exit codes.
 * `--check`: changes nothing, and fails when the page is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = 'docs/errors.md';
const CODE =
  /^ {2}\/\*\*\n {3}\* (.+)\n {3}\* @remedy (.+)\n {3}\*\/\n {2}([A-Z_]+): (true|false),$/gm;

const source = readFileSync('framework/base/errors.ts', 'utf8');
const codes = [...source.matchAll(CODE)].map(([, meaning, remedy, code, retryable]) => {
  return { code, meaning, remedy, retryable: retryable === 'true' };
});
const listed = [...source.matchAll(/^ {2}([A-Z_]+): (?:true|false),$/gm)].map((it) => it[1]);
const bare = listed.filter((code) => !codes.some((it) => it.code === code));
if (bare.length > 0 || codes.length === 0) {
  fail(
    `framework/base/errors.ts does not say of ${bare.join(', ') || 'any code'} what it means and what to do; ` +
      'give each two lines: " * What happened." and " * @remedy What to do."',
  );
}

const statuses = tableOf(
  'framework/runtime/grpc-error.ts',
  /^ {2}([A-Z_]+): status\.([A-Z_]+),$/gm,
);
const exits = tableOf('framework/node/exit-code.ts', /^ {2}([A-Z_]+): (\d+),$/gm);

const page = `# Error codes

<!-- Made by infra/error-codes.mjs from framework/base/errors.ts; do not edit. -->

Every error that this package throws on purpose is a \`VarlogError\`. Its message says what happened, the likely cause and what to do
next; programs tell errors apart by \`code\`. The list is closed, and codes keep their meaning.

\`\`\`ts
import { Varlog, VarlogError } from 'varlog/log';

await using varlog = await Varlog.connect('127.0.0.1:9092');
try {
  await varlog.topic(7).append('hello');
} catch (error) {
  if (VarlogError.is(error, 'TOPIC_NOT_FOUND')) console.log('make the topic first');
  else if (VarlogError.is(error) && error.outcome === 'unknown') console.log('it may be there');
  else throw error;
}
\`\`\`

| field | what it says |
|---|---|
| \`code\` | one of those below |
| \`retryable\` | whether the same call may succeed when it is tried again. It says nothing about effects |
| \`outcome\` | of a write, or of a change that is not repeated by itself, that failed: \`'notAppended'\` never takes effect; \`'unknown'\` may take effect once, now or later |
| \`details\` | facts for programs: positions, ids, addresses |

Use \`VarlogError.is\` instead of \`instanceof\`, because a program may hold two copies of the package. Clients of other languages see the
gRPC status; the \`varlog\` command ends with the exit code.

| code | what it means | what to do | retry | gRPC status | exit code |
|---|---|---|---|---|---|
${codes.map(rowOf).join('\n')}

Three more exit codes belong to no error code: 0 is success, 70 means that a mistake in this program ended a server (the last line of its log has the stack: report it), and 74 that every role
of a server has failed for good. After both of these its supervisor should start it again.
`;

if (process.argv.includes('--check')) {
  if (readText(PAGE) !== page) fail(`${PAGE} is out of date: run "node infra/error-codes.mjs"`);
} else writeFileSync(PAGE, page);

function rowOf({ code, meaning, remedy, retryable }) {
  const status = statuses.get(code) ?? 'UNKNOWN';
  const exit = exits.get(code) ?? 1;
  return `| \`${code}\` | ${meaning} | ${remedy} | ${retryable ? 'yes' : 'no'} | ${status} | ${exit} |`;
}

function tableOf(path, pattern) {
  const table = new Map();
  for (const [, code, value] of readText(path).matchAll(pattern)) {
    if (!table.has(code)) table.set(code, value);
  }
  if (table.size === 0) fail(`no table of codes was found in ${path}`);
  return table;
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return '';
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
