/**
 * Holds the imports to `rules.mjs`:
 *
 *     node infra/imports/check.mjs FOLDER...
 */
import { cruise, format } from 'dependency-cruiser';
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
