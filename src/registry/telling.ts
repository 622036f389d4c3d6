/** What listeners hear: of one node in order, whatever they wait for; nodes do not wait for each other. */
import type { NodeHealth } from "../fleet/node.js";
import { toDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { type Member, viewOf } from "./member.js";
import type { Inventory, NodesIndex, NodesListener } from "./nodes.js";

/** News that listeners have not yet taken in, for each node. */
const waitingMax = 64;

type Listener = Partial<NodesListener & NodesIndex>;

export interface Telling {
  readonly listeners: Listener[];
  changed(member: Member): void;
  removed(member: Member): void;
  health(member: Member, health: NodeHealth): void;
  /** One that is missed, or not taken in, makes the member `isBehind` until a whole one comes. */
  inventory(member: Member, inventory: Inventory): void;
}

export function openTelling(log: Logger): Telling {
  const listeners: Listener[] = [];
  function inOrder(it: Member, what: (listener: Listener) => unknown, onFailure: () => void): void {
    it.waiting++;
    it.told = it.told
      .then(async () => {
        await Promise.all(listeners.map(what));
      })
      .catch((thrown: unknown) => {
        log.error({ err: toDomainError(thrown), node: it.record.id }, "news of a node was not taken in");
        onFailure();
      })
      .finally(() => {
        it.waiting--;
      });
  }
  return {
    listeners,
    changed(it) {
      for (const listener of listeners) listener.onChange?.(viewOf(it));
    },
    removed(it) {
      for (const listener of listeners) listener.onRemoved?.(it.record.id);
    },
    health(it, health) {
      inOrder(
        it,
        (listener) => listener.onHealth?.(it.record.id, health),
        () => {},
      );
    },
    inventory(it, inventory) {
      if (inventory.isWhole) it.isBehind = false;
      if (it.isBehind) return;
      const fallBehind = () => {
        it.isBehind = true;
      };
      if (it.waiting >= waitingMax) fallBehind();
      else inOrder(it, (listener) => listener.onInventory?.(inventory), fallBehind);
    },
  };
}
