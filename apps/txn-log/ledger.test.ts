import fc from 'fast-check';
import { MemoryLog } from 'varlog/testing';
import { NUMBER_MAX } from './amount.ts';
import type { Leg } from './book.ts';
import { LedgerClient } from './client.ts';
import type { LedgerLocation } from './database.ts';
import { onEachLocation } from './ledger-locations.fixture.ts';
import { type LedgerReplica, startLedgerReplica } from './replica.ts';

const ACCOUNTS = ['bank', 'alice', 'bob', 'carol'];

function suite(fresh: () => Promise<LedgerLocation>): void {
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

  const openAll = async ({ service }: LedgerReplica): Promise<void> => {
    await service.open('bank', null);
    for (const account of ACCOUNTS.slice(1)) await service.open(account, 50n);
  };

  test('money is neither made nor lost, and replicas agree, whatever appends suffer', async () => {
    const leg = fc.record({
      account: fc.constantFrom(...ACCOUNTS, 'nobody'),
      amount: fc.bigInt({ min: -200n, max: 200n }).filter((it) => it !== 0n),
    });
    const balanced = fc.array(leg, { minLength: 1, maxLength: 3 }).map((legs): Leg[] => {
      const sum = legs.reduce((total, { amount }) => total + amount, 0n);
      return [...legs, { account: 'bank', amount: -sum }].filter(({ amount }) => amount !== 0n);
    });
    const transfers = fc.array(
      fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), legs: balanced }),
      { maxLength: 20 },
    );
    const faults = fc.constantFrom('refused', 'unknownApplied', 'unknownLate', 'unknownLost');
    await fc.assert(
      fc.asyncProperty(transfers, fc.array(faults, { maxLength: 4 }), async (wanted, injected) => {
        const log = new MemoryLog();
        const replicas = [await start(log), await start(log)];
        await openAll(replicas[0]!);
        log.failNext(...injected);
        await Promise.all(
          wanted
            .filter(({ legs }) => legs.length > 1)
            .map((it, i) => replicas[i % 2]!.service.transfer(it)),
        );
        const [one, two] = replicas.map((it) => it.service);
        expect(await one!.audit()).toMatchObject({ ok: true, sum: '0' });
        expect(await two!.audit()).toEqual(await one!.audit());
        expect(await two!.accounts()).toEqual(await one!.accounts());
        expect(await two!.transfers()).toEqual(await one!.transfers());
        for (const it of open.splice(0)) await it.close();
      }),
      { numRuns: 10 },
    );
  }, 120_000);

  test('an idempotency key takes effect once, across a restart, and stands for one transfer', async () => {
    const log = new MemoryLog();
    const location = await fresh();
    const first = await start(log, location);
    await openAll(first);
    const pay = {
      id: 'pay',
      legs: [
        { account: 'alice', amount: -50n },
        { account: 'bob', amount: 50n },
      ],
    };
    const done = await first.service.transfer(pay);
    expect(done).toMatchObject({ done: true });
    await first.close();
    const { service } = await start(log, location);
    expect(await service.transfer(pay)).toEqual(done);
    expect(await service.account('alice')).toMatchObject({ balance: -50n });
    const other = { id: 'pay', legs: [...pay.legs].reverse() };
    expect(await service.transfer(other)).toMatchObject({ done: false, refusal: 'KEY_REUSED' });
  });

  test('a refusal is a result, and nothing moves', async () => {
    const { service } = await start(new MemoryLog());
    await service.open('bank', null);
    await service.open('alice', 50n);
    const refusalOf = async (id: string, legs: [string, bigint][]): Promise<unknown> => {
      const given = legs.map(([account, amount]) => ({ account, amount }));
      const result = await service.transfer({ id, legs: given });
      return result.done ? undefined : result.refusal;
    };
    const most = NUMBER_MAX;
    expect(
      await refusalOf('1', [
        ['alice', -51n],
        ['bank', 51n],
      ]),
    ).toBe('OVERDRAFT');
    expect(
      await refusalOf('2', [
        ['alice', -1n],
        ['nobody', 1n],
      ]),
    ).toBe('NO_SUCH_ACCOUNT');
    expect(
      await refusalOf('3', [
        ['alice', -1n],
        ['bank', 2n],
      ]),
    ).toBe('UNBALANCED');
    // In floating point these sum to zero.
    expect(
      await refusalOf('4', [
        ['bank', -most],
        ['bank', -2n],
        ['alice', most],
        ['alice', 3n],
      ]),
    ).toBe('UNBALANCED');
    expect(
      await refusalOf('5', [
        ['bank', -most],
        ['bank', -1n],
        ['alice', most],
        ['alice', 1n],
      ]),
    ).toBe('BALANCE_TOO_LARGE');
    expect(await service.audit()).toMatchObject({ ok: true, transfers: 0 });
    expect(
      await refusalOf('6', [
        ['bank', -most],
        ['alice', most],
      ]),
    ).toBeUndefined();
    expect(await service.account('alice')).toMatchObject({ balance: most });
    expect((await service.transfers()).map((it) => it.refusal)).toEqual([
      null,
      'BALANCE_TOO_LARGE',
      'UNBALANCED',
      'UNBALANCED',
      'NO_SUCH_ACCOUNT',
      'OVERDRAFT',
    ]);
    expect(await service.open('alice', 1n)).toMatchObject({
      done: false,
      refusal: 'ACCOUNT_EXISTS',
    });
  });

  test('each currency balances for itself', async () => {
    const { service, http } = await start(new MemoryLog());
    const client = new LedgerClient(http);
    expect(await client.open('early', 0n, 'EUR')).toMatchObject({ refusal: 'NO_SUCH_CURRENCY' });
    for (const [code, exponent] of [
      ['EUR', 2],
      ['JPY', 0],
      ['EUR', 2],
    ] as const)
      expect(await client.define(code, exponent)).toMatchObject({ done: true });
    expect(await client.define('EUR', 3)).toMatchObject({ refusal: 'CURRENCY_EXISTS' });
    expect(await service.currencies()).toEqual([
      { code: 'EUR', exponent: 2 },
      { code: 'JPY', exponent: 0 },
      { code: 'NONE', exponent: 0 },
    ]);
    for (const currency of ['EUR', 'JPY'])
      for (const name of ['bank', 'alice'])
        await client.open(`${name} ${currency}`, null, currency);
    expect(await client.open('bank EUR', null, 'JPY')).toMatchObject({ refusal: 'ACCOUNT_EXISTS' });
    expect(await client.account('alice JPY')).toMatchObject({ currency: 'JPY' });
    const legs = (euros: [bigint, bigint], yen: [bigint, bigint]): Leg[] => [
      { account: 'alice EUR', amount: euros[0] },
      { account: 'bank EUR', amount: euros[1] },
      { account: 'alice JPY', amount: yen[0] },
      { account: 'bank JPY', amount: yen[1] },
    ];
    // The sum of all is zero, as that of apples and pears.
    expect(await client.transfer({ id: 'mixed', legs: legs([-5n, 4n], [7n, -6n]) })).toMatchObject({
      refusal: 'UNBALANCED',
    });
    expect(
      await client.transfer({ id: 'fair', legs: legs([-5n, 5n], [800n, -800n]) }),
    ).toMatchObject({
      done: true,
    });
    expect(await service.audit()).toMatchObject({ ok: true, transfers: 1 });
    for (const bad of [
      { code: 'eur', exponent: 2 },
      { code: 'EUX', exponent: 1.5 },
      { code: 'EUX' },
    ]) {
      const body = JSON.stringify(bad);
      const reply = await fetch(`http://${http}/currencies`, { method: 'POST', body });
      expect(reply.status).toBe(400);
    }
  });

  test('a statement has each posting of its time once, whatever comes between two pages', async () => {
    const { service, http } = await start(new MemoryLog());
    const client = new LedgerClient(http);
    await client.open('bank', null);
    await client.open('alice');
    const pay = (id: number): Promise<unknown> =>
      client.transfer({
        id: String(id),
        legs: [
          { account: 'bank', amount: -BigInt(id) },
          { account: 'alice', amount: BigInt(id) + 1n },
          { account: 'alice', amount: -1n },
        ],
      });
    for (let id = 1; id <= 5; id++) await pay(id);
    const balances: bigint[] = [];
    let pages = 0;
    for (let after: string | null = ''; after !== null; pages++) {
      const page = await client.statement('alice', { limit: '3', ...(after && { after }) });
      expect(page.opening).toBe(balances.at(-1) ?? 0n);
      balances.push(...page.entries.map((it) => it.balance));
      after = page.next;
      if (pages === 0) await pay(6);
    }
    expect(pages).toBe(4);
    expect(balances).toEqual([2n, 1n, 4n, 3n, 7n, 6n, 11n, 10n, 16n, 15n, 22n, 21n]);
    const all = await service.statement({ account: 'alice' });
    const { time } = all!.entries.at(-1)!;
    const later = await service.statement({ account: 'alice', from: time + 1 });
    expect(later).toMatchObject({ opening: 21n, entries: [], next: null });
    const sooner = await service.statement({ account: 'alice', to: all!.entries[0]!.time });
    expect(sooner).toMatchObject({ opening: 0n, entries: [] });
    await expect(client.statement('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const bad of [{ limit: '0' }, { from: '1.5' }, { after: '7' }, { at: 'x' }])
      await expect(client.statement('alice', bad as never)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
  });

  test('whoever has an answer sees what it did at any replica, though the log does not answer', async () => {
    const log = new MemoryLog();
    const [one, two] = [await start(log), await start(log)];
    const { position } = await one.service.open('bank', null);
    const accounts = `http://${two.http}/accounts?at=${position}`;
    expect(await (await fetch(accounts)).json()).toMatchObject([{ id: 'bank' }]);
    log.disconnect();
    expect((await fetch(accounts)).status).toBe(200);
    const waiting = two.service.account('alice', { atLeast: position + 1 });
    log.connect();
    await one.service.open('alice');
    expect(await waiting).toMatchObject({ id: 'alice' });
  });

  test('the HTTP server answers, refuses and reads only', async () => {
    const log = new MemoryLog();
    const { http } = await start(log);
    const client = new LedgerClient(http);
    await client.open('bank', null);
    await client.open('zoë/1');
    const post = (path: string, body: unknown): Promise<Response> =>
      fetch(`http://${http}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const pay = { id: 'x', from: 'bank', to: 'zoë/1', amount: 7 };
    expect((await post('/transfers', pay)).status).toBe(200);
    expect(
      (await post('/transfers', { ...pay, id: 'y', from: 'zoë/1', to: 'bank', amount: 8 })).status,
    ).toBe(409);
    expect(await client.account('zoë/1')).toMatchObject({ balance: 7n });
    await expect(client.account('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await client.transfers('zoë/1')).map((it) => it.id)).toEqual(['x']);
    expect(await client.audit()).toMatchObject({ ok: true });
    const before = await log.tail();
    for (const bad of [
      {},
      { ...pay, amount: 1.5 },
      { ...pay, amount: -7 },
      { ...pay, amount: '7.0' },
      { ...pay, amount: '07' },
      { ...pay, amount: '' },
      { ...pay, amount: 2 ** 53 },
      { ...pay, amount: String(2n ** 63n) },
      { ...pay, to: 'a\0b' },
      { ...pay, id: '' },
      { id: 'z', postings: [null, 1] },
    ])
      expect((await post('/transfers', bad)).status).toBe(400);
    expect(await log.tail()).toBe(before);
    const ask = async (query: string): Promise<{ status: number; rows: unknown }> => {
      const response = await fetch(`http://${http}/sql?query=${encodeURIComponent(query)}`);
      return { status: response.status, rows: await response.json() };
    };
    expect(await ask('SELECT id FROM account ORDER BY id;')).toEqual({
      status: 200,
      rows: [{ id: 'bank' }, { id: 'zoë/1' }],
    });
    for (const bad of [
      'DELETE FROM account',
      'SELECT 1) AS x; DELETE FROM account; --',
      'WITH gone AS (DELETE FROM account RETURNING *) SELECT * FROM gone',
      'SELECT * FROM nothing',
      '',
    ])
      expect((await ask(bad)).status).toBe(400);
    expect(await client.accounts()).toHaveLength(2);
  });
}

onEachLocation('the ledger', suite);
