/** Removes from dist/ what was built from sources that are gone: it would be packed. The rest stays, for the next build. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['framework', 'apps', 'examples', 'test'];
const BUILT = /(\.d\.ts|\.js)(\.map)?$/;

for (const folder of FOLDERS) {
  const built = join('dist', folder);
  if (!existsSync(built)) continue;
  for (const path of readdirSync(built, { recursive: true })) {
    if (!BUILT.test(path) || existsSync(join(folder, path.replace(BUILT, '.ts')))) continue;
    rmSync(join(built, path));
  }
}
