/** Watches whose changes are kept until they are asked for. They live in this process, as long as their sandbox does. */
import { DomainError, isDomainError, toDomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import type { EnvdNode } from "./deps.js";
import type { Event } from "./watch.js";

type Open = (signal: AbortSignal) => AsyncIterable<Event | "ready">;

interface Watcher {
  readonly sandbox: string;
  readonly open: Open;
  readonly stopping: AbortController;
  events: Event[];
  /** More came than are kept. */
  hasLost: boolean;
  /** Why it does not follow any more: it is set again when it is asked. */
  ended?: DomainError;
}

export interface Watchers {
  /** Resolves once nothing is missed any more. */
  create(sandbox: string, open: Open, signal: AbortSignal): Promise<string>;
  /** Those since the last call. `resource_exhausted`: there were more than are kept. */
  take(sandbox: string, id: string, signal: AbortSignal): Promise<Event[]>;
  remove(sandbox: string, id: string): void;
}

/** The guest has 64 watches in all. */
const watchersMax = 64;
const eventsMax = 10_000;

export function openWatchers(node: Pick<EnvdNode, "sandboxes">): Watchers {
  const watchers = new Map<string, Watcher>();

  function find(sandbox: string, id: string): Watcher {
    const watcher = watchers.get(id);
    if (watcher?.sandbox === sandbox) return watcher;
    throw new DomainError("not_found", `watcher ${JSON.stringify(id.slice(0, 80))} not found`);
  }

  async function isGone(sandbox: string): Promise<boolean> {
    return node.sandboxes.get(sandbox).then(
      () => false,
      (failure: unknown) => isDomainError(failure, "not_found"),
    );
  }

  /** A sandbox that is gone takes its watchers with it; a paused one keeps them. */
  async function end(id: string, watcher: Watcher, thrown: unknown): Promise<void> {
    watcher.ended = toDomainError(thrown);
    if (await isGone(watcher.sandbox)) watchers.delete(id);
  }

  /** Those whose sandbox was deleted while it was paused: nobody was told. */
  async function forgetGone(): Promise<void> {
    for (const [id, { sandbox, ended }] of watchers)
      if (ended !== undefined && (await isGone(sandbox))) watchers.delete(id);
  }

  return {
    async create(sandbox, open, signal) {
      await forgetGone();
      const held = [...watchers.values()].filter((watcher) => watcher.sandbox === sandbox).length;
      if (held >= watchersMax)
        throw new DomainError("resource_exhausted", `the sandbox has ${held} watchers`, {
          hint: "remove those that are not read any more",
        });
      const watcher: Watcher = {
        ...{ sandbox, open, stopping: new AbortController(), events: [], hasLost: false },
      };
      const id = randomId();
      watchers.set(id, watcher);
      try {
        await follow(watcher, (thrown) => end(id, watcher, thrown), signal);
        return id;
      } catch (thrown) {
        watchers.delete(id);
        throw thrown;
      }
    },
    async take(sandbox, id, signal) {
      const watcher = find(sandbox, id);
      if (watcher.ended !== undefined) {
        delete watcher.ended;
        try {
          await follow(watcher, (thrown) => end(id, watcher, thrown), signal);
        } catch (thrown) {
          // How it came to its end is told before that it has.
          if (watcher.events.length === 0 || signal.aborted) throw thrown;
        }
      }
      const { events, hasLost } = watcher;
      watcher.events = [];
      watcher.hasLost = false;
      if (!hasLost) return events;
      throw new DomainError("resource_exhausted", `more than ${eventsMax} changes since the last call`, {
        hint: "look at the directory again, and ask more often",
      });
    },
    remove(sandbox, id) {
      const watcher = find(sandbox, id);
      watchers.delete(id);
      watcher.stopping.abort(new DomainError("cancelled", "the watcher was removed"));
    },
  };
}

/** Resolves at `ready`; what comes after it is kept, what ends it is told. Until then `signal` ends this attempt alone. */
function follow(
  watcher: Watcher,
  onEnd: (thrown: unknown) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const attempt = new AbortController();
  const stopped = AbortSignal.any([watcher.stopping.signal, attempt.signal]);
  return new Promise((resolve, reject) => {
    let isReady = false;
    const giveUp = () => attempt.abort(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    const run = async () => {
      for await (const item of watcher.open(stopped)) {
        if (item !== "ready") keep(watcher, item);
        else if (!isReady) {
          isReady = true;
          signal.removeEventListener("abort", giveUp);
          resolve();
        }
      }
      throw new DomainError("unavailable", "the watched directory is gone");
    };
    run().catch((thrown: unknown) => {
      signal.removeEventListener("abort", giveUp);
      if (isReady) void onEnd(thrown);
      else {
        watcher.ended = toDomainError(thrown);
        reject(thrown);
      }
    });
  });
}

function keep(watcher: Watcher, event: Event): void {
  if (watcher.events.length < eventsMax) watcher.events.push(event);
  else watcher.hasLost = true;
}
