// Writes the golden files of the newest version of each format. Those of older versions were written
// by the code of their time, and are never written again.
import { join } from 'node:path';
import { realPorts } from '../../framework/runtime/index.ts';
import { SeededRandom, SimulatedDisk } from '../../framework/testing/index.ts';
import { filesOf, saveGolden } from './golden-files.ts';
import { samples } from './samples.ts';

const { clock } = realPorts({ directory: '.' });
for (const sample of samples) {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  await sample.write(disk, clock);
  saveGolden(join(process.cwd(), 'test/golden'), sample.name, sample.version, await filesOf(disk));
}
