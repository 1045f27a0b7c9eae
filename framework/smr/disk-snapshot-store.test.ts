import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directory } from './index.ts';

test('a stored snapshot comes back, the newest one, and damage is found', async () => {
  const path = await mkdtemp(join(tmpdir(), 'snapshot-'));
  try {
    expect(await directory(path).load()).toBeUndefined();
    await directory(path).save(7, new Uint8Array([1, 2, 3, 4]));
    await directory(path).save(9, new Uint8Array([5]));
    const loaded = await directory(path).load();
    expect(loaded?.position).toBe(9);
    expect([...(loaded?.state ?? [])]).toEqual([5]);
    await appendFile(join(path, 'snapshot'), 'x');
    await expect(directory(path).load()).rejects.toMatchObject({ code: 'CORRUPT' });
  } finally {
    await rm(path, { recursive: true });
  }
});
