/**
 * The id under which the published interface knows a member: its clients compute it from the member's address, the
 * four bytes of an IPv4 address followed by the port and 16 zero bits, and ask for it by that. A member whose
 * address names no IPv4 address keeps its own id, which those clients cannot compute.
 *
 * Such an id lies above 2^53 and is exact all the same, because of the zeros.
 */
export function publishedNodeId({ id, address }: { id: number; address: string }): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3}):(\d{1,5})$/.exec(address);
  if (parts === null) return id;
  const [a, b, c, d, port] = parts.slice(1).map(Number) as [number, number, number, number, number];
  return [a, b, c, d].reduce((sum, byte) => sum * 256 + byte, 0) * 2 ** 32 + port * 2 ** 16;
}

/** The same, as the key of a map on the wire: all of its digits. */
export function publishedNodeKey(member: { id: number; address: string }): string {
  return BigInt(publishedNodeId(member)).toString();
}

/** The member that the published interface means by `nodeId`: the one known by it, or whose own id it is. */
export function memberOfNodeId<Member extends { id: number; address: string }>(
  members: readonly Member[],
  nodeId: number,
): Member | undefined {
  return (
    members.find((it) => publishedNodeId(it) === nodeId) ?? members.find((it) => it.id === nodeId)
  );
}
