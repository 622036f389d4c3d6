/**
 * Checkpoints on nodes that no snapshot names: one was taken and not recorded, or its snapshot was deleted while
 * sandboxes stood on it. They are deleted as soon as that can be done.
 */
import type { CatalogueSnapshot } from "../fleet/catalogue.js";
import type { NodeId } from "../fleet/node.js";
import { isDomainError } from "../lib/errors.js";
import { isId } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import type { Catalogue } from "../registry-store/registry-store.js";
import type { Nodes } from "./nodes.js";

const prefix = "snapshot-";
/** By which a snapshot's checkpoint is known on its node. */
export const checkpointName = ({ id }: Pick<CatalogueSnapshot, "id">): string => `${prefix}${id}`;

export interface Leftovers {
  /** Ids of snapshots that are being taken. */
  readonly inFlight: Set<string>;
  add(node: NodeId, checkpoint: string): void;
  /** Finds those of a node; after it was away, and at the start. */
  find(node: NodeId): Promise<void>;
  /** Tries to delete what is known. */
  sweep(): Promise<void>;
}

interface LeftoverDeps {
  readonly catalogue: Pick<Catalogue, "find">;
  readonly nodes: Pick<Nodes, "api">;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly askMs: number;
}

export function createLeftovers({ catalogue, nodes, log, askMs }: LeftoverDeps): Leftovers {
  const known = new Map<string, NodeId>();
  const inFlight = new Set<string>();
  return {
    inFlight,
    add: (node, checkpoint) => void known.set(checkpoint, node),
    async find(node) {
      const { checkpoints } = await nodes.api(node).checkpoints.list({}, { timeoutMs: askMs });
      for (const { id, name } of checkpoints) {
        const snapshot = name.startsWith(prefix) ? name.slice(prefix.length) : "";
        if (!isId(snapshot) || inFlight.has(snapshot)) continue;
        if ((await catalogue.find(snapshot)) === undefined) known.set(id, node);
      }
    },
    async sweep() {
      for (const [checkpoint, node] of [...known]) {
        try {
          await nodes.api(node).checkpoints.delete({ checkpoint }, { timeoutMs: askMs });
          log.info({ node, checkpoint }, "a checkpoint that no snapshot names is deleted");
          known.delete(checkpoint);
        } catch (thrown) {
          if (isDomainError(thrown, "not_found")) known.delete(checkpoint);
          // Sandboxes stand on it, or its node is away: again at the next sweep.
          else if (!isDomainError(thrown, "failed_precondition") && !isDomainError(thrown, "unavailable"))
            log.warn({ err: thrown, node, checkpoint }, "cannot delete a checkpoint that no snapshot names");
        }
      }
    },
  };
}
