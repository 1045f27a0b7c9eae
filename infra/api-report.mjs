/**
 * Writes infra/api/ from what was built: all that the package exports, one file for each path of its `exports`.
 *
 *     node infra/api-report.mjs           writes
 *     node infra/api-report.mjs --check   fails where what is there differs
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const check = process.argv.includes('--check');
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const reportFolder = resolve('infra/api');
const temporary = resolve('dist/api');

/** Whether the report of a path is as it was. */
function reported(path, types) {
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve('package.json'),
    configObject: {
      projectFolder: resolve('.'),
      mainEntryPointFilePath: resolve(types),
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2022',
            lib: ['es2023', 'esnext.disposable'],
            module: 'nodenext',
            types: ['node'],
            skipLibCheck: true,
            allowImportingTsExtensions: true,
            noEmit: true,
          },
          files: [types],
        },
      },
      apiReport: {
        enabled: true,
        reportFolder,
        // What a caller gets and passes has its place there, also where its name is not exported.
        includeForgottenExports: true,
        reportTempFolder: temporary,
        reportFileName: `${path.replace(/^\.\/?/, '').replaceAll('/', '-')}.api.md`,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'none' } },
        extractorMessageReporting: { default: { logLevel: 'none' } },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
  });
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: !check,
    messageCallback: (message) => {
      message.handled = message.logLevel !== 'error';
    },
  });
  return !apiReportChanged;
}

mkdirSync(reportFolder, { recursive: true });
mkdirSync(temporary, { recursive: true });
const changed = Object.entries(exports)
  // What `varlog` itself exports is nothing.
  .filter(([path]) => path !== '.')
  .filter(([path, { types }]) => !reported(path, types))
  .map(([path]) => path);
rmSync(temporary, { recursive: true, force: true });
if (check && changed.length > 0) {
  console.error(
    `The public API has changed (${changed.join(', ')}): if that is meant, run "npm run api" and commit infra/api`,
  );
  process.exitCode = 1;
}
