import type { Problems, Source } from './source.ts';

/** What is not deterministic enters through a port, and only `runtime` provides those. */
const BANNED: readonly { call: RegExp; instead: string }[] = [
  { call: /\bDate\.now\b|\bnew Date\(\s*\)/g, instead: 'clock.wall()' },
  { call: /\bperformance\./g, instead: 'clock.now()' },
  { call: /\bset(Timeout|Interval)\(/g, instead: 'clock.after(ms, ring)' },
  { call: /\b(setImmediate|queueMicrotask)\(|\bprocess\.nextTick\b/g, instead: 'clock.defer(run)' },
  { call: /\bMath\.random\b/g, instead: 'random.fraction()' },
  { call: /\bcrypto\.\w/g, instead: 'random.id() or random.below(limit)' },
  {
    call: /\bAbortSignal\.timeout\(/g,
    instead: 'timeoutMs, or clock.after and an AbortController',
  },
  { call: /\bconsole\.\w/g, instead: 'logger.log(level, event, fields)' },
  { call: /\bprocess\.\w/g, instead: 'an option that the process passes in' },
  { call: /\b(?:await|return|void)\s+fetch\(/g, instead: 'the Network port' },
];

/** Who may: the ports themselves, and the processes (which own their console and environment). */
const OUTSIDE =
  /^framework\/(runtime|node)\/|^framework\/testing\/simulator\/(run|host-[a-z-]+)\.ts$|^framework\/wire\/generate\.mjs$/;

/** Finds calls that only `runtime` may make, and names what to use instead. */
export function bannedCalls(source: Source): Problems {
  if (source.folder === undefined || source.isTest || OUTSIDE.test(source.path)) return [];
  const problems: Problems = [];
  for (const { call, instead } of BANNED) {
    for (const match of source.code.matchAll(call)) {
      problems.push(`${source.at(match.index)}: ${match[0]} is for runtime alone; use ${instead}`);
    }
  }
  return problems;
}
