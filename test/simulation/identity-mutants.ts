import type { Ports } from '../../framework/base/index.ts';
import { Metadata } from '../../framework/log/core/index.ts';
import { Orderer } from '../../framework/log/metadata-repository/orderer.ts';
import { StorageNode } from '../../framework/log/storage-node/storage-node.ts';
import { DirectoryIdentity } from '../../framework/store/index.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** A check of identity that is left out. */
export interface IdentityMutant {
  readonly begin?: PlantedDefect;
  readonly ports?: (ports: Ports) => Ports;
}

const WITHOUT_CLUSTER = (ports: Ports): Ports => ({
  ...ports,
  network: {
    serve: (address, handlers) => ports.network.serve(address, handlers),
    connect: (address) => ports.network.connect(address),
  },
});

function admitAnyDisk(): () => void {
  const undoAdmit = replace(Orderer.prototype, 'admit', () => {});
  const { apply } = Metadata.prototype;
  const undoApply = replace(Metadata.prototype, 'apply', function (this: Metadata, command) {
    if (command.kind === 'registerStorageNode' && command.disk !== undefined) {
      const known = this.storageNodes.get(command.id);
      if (known !== undefined) known.disk = command.disk;
    }
    return apply.call(this, command);
  });
  return () => {
    undoApply();
    undoAdmit();
  };
}

/** Ways to take somebody for somebody else, each in one place. */
export const IDENTITY_MUTANTS: Readonly<Record<string, IdentityMutant>> = {
  'calls do not say for which cluster they are meant': {
    ports: WITHOUT_CLUSTER,
  },
  'a folder is taken for the one of whoever opens it': {
    begin: () => {
      const { claim } = DirectoryIdentity;
      return replace(DirectoryIdentity, 'claim', async (disk, directory, owner, newDisk) => {
        const found = await claim
          .call(DirectoryIdentity, disk, directory, owner, newDisk)
          .catch(async (error: { details?: { found?: string } }) => {
            const [, kind = '', nodeId = '', clusterId = ''] =
              /^(.*) (\d+) of cluster (\d+)$/.exec(error.details?.found ?? '') ?? [];
            const other = { kind, nodeId: Number(nodeId), clusterId: Number(clusterId) };
            return claim.call(DirectoryIdentity, disk, directory, other, newDisk);
          });
        return found;
      });
    },
  },
  'any disk is taken for the one of its node': { begin: admitAnyDisk },
  'two processes of one node have sessions': {
    begin: () => replace(Orderer.prototype, 'admit', () => {}),
  },
  'what is not mentioned is deleted': {
    begin: () => {
      const prototype = StorageNode.prototype as unknown as {
        obey(
          this: StorageNode,
          response: { complete: boolean; assignments: { logStreamId: number }[] },
        ): void;
        remove(logStreamId: number): void;
      };
      const { obey } = prototype;
      return replace(prototype, 'obey', function (this: StorageNode, response) {
        obey.call(this, response);
        if (!response.complete) return;
        const wanted = new Set(response.assignments.map((it) => it.logStreamId));
        for (const id of this.replicas.keys()) if (!wanted.has(id)) prototype.remove.call(this, id);
      });
    },
    ports: WITHOUT_CLUSTER,
  },
};
