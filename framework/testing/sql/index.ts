/**
 * What users test machines in SQL with. Needs `typeorm` and `better-sqlite3`; nothing else in `varlog/testing` does.
 *
 * ```ts
 * import { simulateSql } from 'varlog/testing/sql';
 *
 * await simulateSql(Counter, { dataSource, workload: (random) => ({ add: random.below(10) }) });
 * ```
 *
 * It is not for production: nothing here is durable.
 */

export { type SimulateSqlOptions, simulateSql } from './simulate-sql.ts';
export type { SimulatedDatabase } from './simulated-sqlite.ts';
