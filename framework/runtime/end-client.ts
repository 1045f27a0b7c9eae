import type { Client } from '@grpc/grpc-js';

/** What grpc-js has inside, of a channel with connections of its own. */
interface ChannelInside {
  readonly internalChannel?: {
    readonly subchannelPool?: { readonly pool?: Readonly<Record<string, readonly Pooled[]>> };
  };
}

interface Pooled {
  readonly subchannel?: { readonly refcount?: number; stopBackoff?(): void };
}

/**
 * Closes a client of grpc-js with all that it has. By itself that leaves a connection that has just been refused to be
 * tried once more: what comes about then stays open, with nobody who uses it, for as long as the server lives. There
 * is no call against this; where the insides of grpc-js have changed, such connections stay.
 */
export function endClient(client: Client): void {
  const inside: ChannelInside = client.getChannel() as object;
  const pooled = Object.values(inside.internalChannel?.subchannelPool?.pool ?? {}).flat();
  client.close();
  // Whatever is shared goes on for the others.
  for (const { subchannel } of pooled) {
    if (subchannel?.refcount === 0) subchannel.stopBackoff?.();
  }
}
