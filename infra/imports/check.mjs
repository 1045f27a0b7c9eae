/**
 * Holds the imports to `rules.mjs`:
 *
 *     node infra/imports/check.mjs FOLDER...
 */
import { cruise, format } from 'dependency-cruiser';
import { KNOTS } from './knots.mjs';
import { forbidden, options } from './rules.mjs';

const { output } = await cruise(process.argv.slice(2), {
  ...options,
  ruleSet: { forbidden },
  validate: true,
});
const report = await format(output, { outputType: 'err-long' });
if (report.exitCode > 0) {
  console.error(report.output);
  process.exitCode = 1;
}

const inCircle = new Set(
  output.modules.filter((it) => it.dependencies.some((to) => to.circular)).map((it) => it.source),
);
for (const path of KNOTS.filter((it) => !inCircle.has(it))) {
  console.error(
    `${path} is in no circle any more: take it off the list in infra/imports/knots.mjs`,
  );
  process.exitCode = 1;
}
