import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../process/local-processes.ts';

/** As the guide has its reader set the compiler up, with every check that there is. */
export const COMPILER = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node', 'jest'],
    rewriteRelativeImportExtensions: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
  },
};

/** The files of a guide, by the names in their first lines. */
export function filesOf(guide: string): [name: string, code: string][] {
  const text = readFileSync(join(ROOT, guide), 'utf8');
  return [...text.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, code]) => [
    name!,
    code!,
  ]);
}
