import { serveUntilStopped } from '../serving.ts';
import type { LedgerLocation } from './database.ts';
import { FILE_LOG, fileLog } from './file-log.fixture.ts';
import { startLedgerReplica } from './replica.ts';
import { SlowLog } from './slow-log.fixture.ts';

/** Serves a ledger whose log lies in a file and is read slowly: to be killed, or to stand still, at any moment. */
const [location, file, http, pauseMs] = process.argv.slice(2) as [string, string, string, string];
const slow = new SlowLog({ identity: FILE_LOG });
slow.pauseMs = Number(pauseMs);
const log = await fileLog(file, slow);
await serveUntilStopped(
  () => startLedgerReplica({ http, location: JSON.parse(location) as LedgerLocation, log }),
  () => process.stdout.write('serving\n'),
);
