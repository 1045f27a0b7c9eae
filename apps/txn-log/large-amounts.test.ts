import { MemoryLog } from 'varlog/testing';
import { AMOUNT_MAX, NUMBER_MAX } from './amount.ts';
import { LedgerClient } from './client.ts';
import type { LedgerLocation } from './database.ts';
import type { LedgerCommand } from './ledger-command.ts';
import { inDatabase, onEachLocation } from './ledger-locations.fixture.ts';
import { type LedgerReplica, startLedgerReplica } from './replica.ts';

const MOST = String(AMOUNT_MAX);

onEachLocation('amounts beyond what numbers hold', (fresh) => {
  const open: LedgerReplica[] = [];
  const start = async (log: MemoryLog, location?: LedgerLocation): Promise<LedgerReplica> => {
    const http = '127.0.0.1:0';
    const replica = await startLedgerReplica({ http, location: location ?? (await fresh()), log });
    open.push(replica);
    return replica;
  };
  afterEach(async () => {
    for (const it of open.splice(0)) await it.close();
  });
  /** Past what the server checks, as somebody else may append. */
  const execute = ({ service }: LedgerReplica, command: LedgerCommand): Promise<unknown> =>
    service.generation.replica.execute(command);
  const paid = (id: string, amount: number | string): LedgerCommand => {
    const negative = typeof amount === 'number' ? -amount : `-${amount}`;
    const legs = [
      { account: 'bank', amount: negative },
      { account: 'alice', amount },
    ];
    return { op: 'transfer', id, description: '', legs };
  };
  const send = async (http: string, path: string, body: object): Promise<[number, unknown]> => {
    const init = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`http://${http}${path}`, init);
    return [response.status, await response.json()];
  };
  const get = async (http: string, path: string): Promise<unknown> =>
    (await fetch(`http://${http}${path}`)).json();

  test('are nothing to anybody until the rules are raised, as with older replicas', async () => {
    const replica = await start(new MemoryLog());
    const { service, http } = replica;
    for (const it of ['bank', 'alice']) await service.open(it, null);
    const unknown = { done: false, refusal: 'NOT_A_COMMAND' };
    for (const amount of ['7', MOST])
      expect(await execute(replica, paid('x', amount))).toMatchObject(unknown);
    expect(
      await execute(replica, { op: 'open', account: 'carol', overdraftLimit: '5' }),
    ).toMatchObject(unknown);
    expect(await execute(replica, paid('x', Number(NUMBER_MAX)))).toMatchObject({ done: true });
    expect(await execute(replica, paid('y', 1))).toMatchObject({ refusal: 'BALANCE_TOO_LARGE' });
    const refused = await send(http, '/transfers', {
      ...{ id: 'z', from: 'bank', to: 'alice' },
      amount: MOST,
    });
    expect(refused).toMatchObject([
      412,
      {
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('varlog upgrade TOPIC 2 --name ledger'),
        outcome: 'notAppended',
      },
    ]);
    // A small one is the same, however it is written.
    expect(
      await send(http, '/transfers', { id: 'w', from: 'alice', to: 'bank', amount: '7' }),
    ).toMatchObject([200, { done: true }]);
    await service.generation.replica.upgradeTo(2);
    // What was refused stays refused under its id.
    expect(await execute(replica, paid('y', 1))).toMatchObject({ refusal: 'BALANCE_TOO_LARGE' });
    expect(await execute(replica, paid('z', MOST))).toMatchObject({ refusal: 'BALANCE_TOO_LARGE' });
    expect(await execute(replica, paid('v', 8))).toMatchObject({ done: true });
    expect(await service.account('alice')).toMatchObject({ balance: NUMBER_MAX + 1n });
  });

  test('are exact wherever they are shown, and across a restart', async () => {
    const log = new MemoryLog();
    const location = await fresh();
    const { http, service, close } = await start(log, location);
    await service.generation.replica.upgradeTo(2);
    const opened = { account: 'bank', overdraftLimit: MOST };
    expect(await send(http, '/accounts', opened)).toMatchObject([200, { done: true }]);
    expect(await send(http, '/accounts', opened)).toMatchObject([200, { done: true }]);
    expect(await send(http, '/accounts', { ...opened, overdraftLimit: 5 })).toMatchObject([
      409,
      { refusal: 'ACCOUNT_EXISTS' },
    ]);
    await service.open('alice');
    const pay = { id: 'all', from: 'bank', to: 'alice', amount: MOST };
    expect(await send(http, '/transfers', pay)).toMatchObject([200, { done: true }]);
    expect(await send(http, '/transfers', pay)).toMatchObject([200, { done: true }]);
    const less = { ...pay, amount: String(AMOUNT_MAX - 1n) };
    expect(await send(http, '/transfers', less)).toMatchObject([422, { refusal: 'KEY_REUSED' }]);
    expect(await send(http, '/transfers', { ...pay, id: 'one', amount: 1 })).toMatchObject([
      409,
      { refusal: 'BALANCE_TOO_LARGE' },
    ]);
    expect(await get(http, '/accounts')).toMatchObject([
      { id: 'alice', balance: MOST, overdraftLimit: 0 },
      { id: 'bank', balance: `-${MOST}`, overdraftLimit: MOST },
    ]);
    const back = { id: 'back', from: 'alice', to: 'bank', amount: String(AMOUNT_MAX - 7n) };
    expect(await send(http, '/transfers', back)).toMatchObject([200, { done: true }]);
    expect(await get(http, '/accounts/alice')).toMatchObject({ balance: 7 });
    await close();

    const again = await start(log, location);
    const client = new LedgerClient(again.http);
    expect(await client.account('bank')).toMatchObject({
      balance: -7n,
      overdraftLimit: AMOUNT_MAX,
    });
    const [newest] = await client.transfers('alice');
    expect(newest!.postings).toMatchObject([
      { accountId: 'alice', amount: 7n - AMOUNT_MAX, balance: 7n },
      { accountId: 'bank', amount: AMOUNT_MAX - 7n, balance: -7n },
    ]);
    expect(await client.statement('alice')).toMatchObject({
      opening: 0n,
      entries: [
        { amount: AMOUNT_MAX, balance: AMOUNT_MAX },
        { amount: 7n - AMOUNT_MAX, balance: 7n },
      ],
    });
    const { next } = await client.statement('alice', { limit: '1' });
    for (const rest of [{ after: next! }, { after: next!, to: '1' }])
      expect(await client.statement('alice', rest)).toMatchObject({ opening: AMOUNT_MAX });
    expect(await client.audit()).toMatchObject({ ok: true, sum: '0' });
    const query = encodeURIComponent(
      "SELECT amount FROM posting WHERE transfer_id = 'all' AND leg = 1",
    );
    expect(await get(again.http, `/sql?query=${query}`)).toEqual([{ amount: MOST }]);
  });

  test('a database of an older version is read, and goes on', async () => {
    const log = new MemoryLog();
    const location = await fresh();
    const first = await start(log, location);
    for (const it of ['bank', 'alice']) await first.service.open(it, null);
    await execute(first, paid('old', Number(NUMBER_MAX)));
    await first.close();
    // It gave the driver numbers.
    const most = Number(NUMBER_MAX);
    for (const sql of [
      `UPDATE account SET balance = CAST(${most} AS double precision) WHERE id = 'alice'`,
      `UPDATE posting SET amount = CAST(${most} AS double precision) WHERE account_id = 'alice'`,
    ])
      await inDatabase(location, sql);
    const { service } = await start(log, location);
    await service.generation.replica.upgradeTo(2);
    const legs = [
      { account: 'bank', amount: -2n },
      { account: 'alice', amount: 2n },
    ];
    expect(await service.transfer({ id: 'new', legs })).toMatchObject({ done: true });
    expect(await service.account('alice')).toMatchObject({ balance: NUMBER_MAX + 2n });
    expect(await service.audit()).toMatchObject({ ok: true });
    // The same as before is the same transfer, though large amounts are written otherwise now.
    const again = [
      { account: 'bank', amount: -NUMBER_MAX },
      { account: 'alice', amount: NUMBER_MAX },
    ];
    expect(await service.transfer({ id: 'old', legs: again })).toMatchObject({ done: true });
  });
});
