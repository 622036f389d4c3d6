/** What happened on the node: recorded in the store, and told to whoever follows. */
import { createBell } from "../lib/bell.js";
import type { Clock } from "../lib/clock.js";
import { isDomainError } from "../lib/errors.js";
import { isId } from "../lib/ids.js";
import type { Events as StoredEvents } from "../store/events.js";
import type { SandboxReader } from "../store/sandboxes.js";
import type { EventQuery, NodeEvent } from "./node.js";

export interface EventDeps {
  readonly store: {
    readonly events: StoredEvents;
    readonly sandboxes: Pick<SandboxReader, "find">;
  };
  readonly now: Clock;
}

export interface NodeEvents {
  /** Throws what the store throws. */
  record(event: Omit<NodeEvent, "id" | "at">): void;
  /**
   * Events after `sinceId`, oldest first; with `follow` also those to come, until the signal aborts. A follower
   * that falls behind by more than the store keeps misses events, which gaps in the ids tell.
   */
  follow(query: EventQuery, signal: AbortSignal): AsyncIterable<NodeEvent>;
}

const pageSize = 256;

export function openEvents({ store, now }: EventDeps): NodeEvents {
  const recorded = createBell();
  return {
    record(event) {
      store.events.append({ at: now(), ...event });
      recorded.ring();
    },
    async *follow({ sandbox: ref, sinceId, follow }, signal) {
      const filter = ref === undefined ? {} : { sandbox: idOf(store, ref) };
      let afterId = startOf(store, sinceId);
      for (;;) {
        signal.throwIfAborted();
        const page = store.events.list({ afterId, limit: pageSize, ...filter });
        for (const event of page) {
          afterId = event.id;
          yield event;
        }
        // Nothing waits between the look and the wait, so that no ring is missed.
        if (page.length === 0 && !follow) return;
        if (page.length === 0) await recorded.rung(signal);
      }
    },
  };
}

function startOf({ events }: EventDeps["store"], sinceId: EventQuery["sinceId"]): number {
  return sinceId === "now" ? events.lastId() : sinceId;
}

/** Events outlive their sandbox: an id that is not known any more is still one to look for, a name is not. */
function idOf(store: EventDeps["store"], ref: string): string {
  try {
    return store.sandboxes.find(ref).id;
  } catch (thrown) {
    if (isDomainError(thrown, "not_found") && isId(ref)) return ref;
    throw thrown;
  }
}
