/**
 * The shims that sandboxes run in, each for several, and always some places in one that runs already: starting a
 * shim takes a third of the time of a small restore. Who is in which stands in containerd's records. A shim that
 * dies takes its sandboxes along, so they are not too many.
 */
import type { Containerd } from "../containerd/client.js";
import { randomId } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import { labels } from "./deps.js";
import { planShims } from "./shim-plan.js";

export interface Shims extends AsyncDisposable {
  /** Names the shim that the sandbox's container is to be made in. Waits when one has to be started. */
  join(sandbox: string, signal: AbortSignal): Promise<string>;
  /** Its container is removed, or was never made. */
  leave(sandbox: string): void;
  /** Forgets a shim that has died; gives the sandboxes that were in it. */
  lost(shim: string): readonly string[];
  /** Forgets those that have died while containerd's events were not followed. */
  review(signal?: AbortSignal): Promise<void>;
}

export interface ShimsOptions {
  readonly containerd: Pick<Containerd, "containers" | "tasks" | "sharedShims">;
  readonly log: Pick<Logger, "warn">;
  readonly runc: string;
  readonly runcRoot: string;
  /** Sandboxes in one shim, at most. */
  readonly places: number;
}

/** Takes over what an earlier agent left. Disposing ends the shims that nothing is in. */
export async function openShims(options: ShimsOptions, signal: AbortSignal): Promise<Shims> {
  const { containerd, log, places } = options;
  const shims = await adopt(options, signal);
  const ending = new Set<Promise<void>>();
  let starting: Promise<void> | undefined;

  function start(): Promise<void> {
    starting ??= startShim(options)
      .then((id) => void shims.set(id, new Set()))
      .finally(() => {
        starting = undefined;
      });
    return starting;
  }

  function end(id: string): void {
    shims.delete(id);
    const ended = containerd.sharedShims
      .delete(id)
      .catch((err: unknown) =>
        log.warn({ err, shim: id }, "a shim cannot be ended; the next start tries again"),
      )
      .finally(() => ending.delete(ended));
    ending.add(ended);
  }

  function tend(): void {
    const plan = planShims(shims, places);
    if (plan.start && starting === undefined)
      start().catch((err: unknown) => log.warn({ err }, "no shim can be started ahead"));
    for (const id of plan.end) end(id);
  }

  tend();
  return {
    async join(sandbox, joining) {
      for (;;) {
        joining.throwIfAborted();
        const { fill } = planShims(shims, places);
        if (fill !== undefined) {
          shims.get(fill)?.add(sandbox);
          tend();
          return fill;
        }
        await (starting ?? start());
      }
    },
    leave(sandbox) {
      for (const members of shims.values()) members.delete(sandbox);
      tend();
    },
    lost(shim) {
      const members = [...(shims.get(shim) ?? [])];
      if (shims.has(shim)) end(shim);
      tend();
      return members;
    },
    async review(reviewing) {
      const known = [...shims.keys()];
      const live = new Set((await containerd.tasks.of(known, reviewing)).map(({ id }) => id));
      for (const id of known) if (!live.has(id) && shims.has(id)) end(id);
      tend();
    },
    async [Symbol.asyncDispose]() {
      await starting?.catch(() => {});
      for (const [id, members] of shims) if (members.size === 0) end(id);
      await Promise.all(ending);
    },
  };
}

async function startShim({ containerd, runc, runcRoot }: ShimsOptions): Promise<string> {
  const id = `shim-${randomId()}`;
  try {
    await containerd.sharedShims.create({ id, labels: { [labels.shim]: id }, runc, runcRoot });
    return id;
  } catch (thrown) {
    await containerd.sharedShims.delete(id).catch(() => {});
    throw thrown;
  }
}

/** By id, those that live, with the sandboxes in them. What is left of others is removed. */
async function adopt({ containerd }: ShimsOptions, signal: AbortSignal): Promise<Map<string, Set<string>>> {
  const ids = await containerd.sharedShims.list(labels.shim, signal);
  const [tasks, containers] = await Promise.all([
    containerd.tasks.of(ids, signal),
    containerd.containers.list([`labels."${labels.sandbox}"`], signal),
  ]);
  const live = new Set(tasks.map(({ id }) => id));
  const shims = new Map<string, Set<string>>();
  for (const id of ids) {
    if (!live.has(id)) await containerd.sharedShims.delete(id, signal);
    else shims.set(id, new Set(containers.filter(({ shim }) => shim === id).map((member) => member.id)));
  }
  return shims;
}
