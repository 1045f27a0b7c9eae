import type { Plan } from './plan.ts';

/**
 * Cuts a plan down as long as it still fails (delta debugging, Zeller and Hildebrandt 2002): with fewer replicas first, then
 * without ever smaller parts of its faults and calls, down to single ones. Ends where nothing more can be left out, or when
 * the plans that it has tried have `partsMax` faults and calls together.
 */
export async function shrink(
  plan: Plan,
  fails: (plan: Plan) => Promise<boolean>,
  partsMax: number,
): Promise<Plan> {
  let smallest = plan;
  let parts = 0;
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (parts >= partsMax) return false;
    parts += 1 + sizeOf(candidate);
    if (!(await fails(candidate))) return false;
    smallest = candidate;
    return true;
  };
  for (const name of plan.replicas.slice(1)) {
    if (!(await attempt(withoutReplica(smallest, name)))) await attempt(merged(smallest, name));
  }
  for (let size = sizeOf(smallest); size >= 1 && parts < partsMax; ) {
    let removed = false;
    for (let from = 0; from < sizeOf(smallest) && parts < partsMax; ) {
      if (await attempt(without(smallest, from, size))) removed = true;
      else from += size;
    }
    // With single ones: what could not be left out before may be superfluous now.
    if (size > 1) size = Math.ceil(size / 2);
    else if (!removed) break;
  }
  return smallest;
}

/** Faults and calls, counted through in this order. */
function sizeOf({ faults, calls }: Plan): number {
  return faults.length + calls.length;
}

function without(plan: Plan, from: number, count: number): Plan {
  const { faults, calls } = plan;
  const isKept = (at: number): boolean => at < from || at >= from + count;
  return {
    ...plan,
    faults: faults.filter((_, i) => isKept(i)),
    calls: calls.filter((_, i) => isKept(faults.length + i)),
  };
}

/** What one replica was asked, the first one is. */
function merged(plan: Plan, name: string): Plan {
  const [replica] = plan.replicas as [string];
  const calls = plan.calls.map((it) => (it.replica === name ? { ...it, replica } : it));
  return withoutReplica({ ...plan, calls }, name);
}

function withoutReplica(plan: Plan, name: string): Plan {
  const isOther = (it: { readonly replica: string }): boolean => it.replica !== name;
  return {
    ...plan,
    replicas: plan.replicas.filter((it) => it !== name),
    faults: plan.faults.filter(isOther),
    calls: plan.calls.filter(isOther),
  };
}
