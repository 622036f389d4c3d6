/** Follows containerd's events: sandboxes that end by themselves, or run out of memory. */
import type { Containerd } from "../containerd/client.js";
import type { TaskEvent } from "../containerd/events.js";
import { isId } from "../lib/ids.js";
import { mapLimited } from "../lib/limit.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { checkTask } from "./stop.js";

/**
 * Begins to listen, before a start looks at what there is: nothing that happens from here on is missed, so that what
 * was looked at need not be looked at again. Ends with the signal.
 */
export async function followTasks(
  { events }: Pick<Containerd, "events">,
  signal: AbortSignal,
): Promise<AsyncIterable<TaskEvent>> {
  const following = events.tasks(signal)[Symbol.asyncIterator]();
  await following.next();
  return { [Symbol.asyncIterator]: () => following };
}

/** Runs until the events end: whatever fails, as while containerd is away or the disk is full, the next one is heeded. */
export async function watchTasks(deps: Deps, events: AsyncIterable<TaskEvent>): Promise<void> {
  for await (const event of events)
    await heed(deps, event).catch((err: unknown) =>
      deps.log.warn({ err, event: event.kind }, "what an event calls for cannot be done"),
    );
}

async function heed(deps: Deps, event: TaskEvent): Promise<void> {
  if (event.kind === "subscribed") await catchUp(deps);
  else if (!isId(event.id)) await checkShim(deps, event);
  else if (event.kind === "exited") void check(deps, event.id as SandboxId);
  else if (event.kind === "oom") deps.record("sandbox.oom", { sandbox: event.id });
}

/** Whose operation is cut off by containerd's end goes back to running while nobody listens, or stands frozen. */
const watched = ["running", "checkpointing", "pausing"] as const;
/** Sandboxes that are looked at side by side. One in an operation keeps its place until that is over. */
const checksMax = 64;

/** What ended while nobody listened. */
async function catchUp(deps: Deps): Promise<void> {
  await deps.shims.review();
  const sandboxes = deps.store.sandboxes.list({ statuses: watched, slots: "too" });
  void mapLimited(sandboxes, checksMax, ({ id }) => check(deps, id));
}

/** The task that holds a shim ends when the shim dies, and its sandboxes with it. Others are not ours. */
async function checkShim(deps: Deps, { kind, id }: { kind: string; id: string }): Promise<void> {
  if (kind !== "exited") return;
  for (const member of deps.shims.lost(id)) void check(deps, member as SandboxId);
}

/** Waits in the sandbox's line; a stop or pause that is under way ends it in its own manner. */
async function check(deps: Deps, id: SandboxId): Promise<void> {
  await checkTask(deps, id).catch((err: unknown) =>
    deps.log.error({ err, sandbox: id }, "could not check on a sandbox"),
  );
}
