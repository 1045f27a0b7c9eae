import { orderedLogContract } from './contracts/ordered-log.ts';
import { MemoryLog } from './memory-log.ts';

orderedLogContract('memory', async () => ({ log: new MemoryLog(), close: async () => {} }));
