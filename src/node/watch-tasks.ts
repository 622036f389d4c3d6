/** Follows containerd's events: sandboxes that end by themselves, or run out of memory. */
import { isId } from "../lib/ids.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { checkTask } from "./stop.js";

/** Runs until the signal aborts. */
export async function watchTasks(deps: Deps, signal: AbortSignal): Promise<void> {
  for await (const event of deps.containerd.events.tasks(signal)) {
    if (event.kind === "subscribed") await catchUp(deps, signal);
    else if (!isId(event.id)) await checkShim(deps, event);
    else if (event.kind === "exited") check(deps, event.id as SandboxId);
    else if (event.kind === "oom") deps.record("sandbox.oom", { sandbox: event.id });
  }
}

/** Whose operation is cut off by containerd's end goes back to running while nobody listens, or stands frozen. */
const watched = ["running", "checkpointing", "pausing"] as const;

/** What ended while nobody listened. */
async function catchUp(deps: Deps, signal: AbortSignal): Promise<void> {
  await deps.shims.review(signal);
  for (const { id } of deps.store.sandboxes.list({ statuses: watched, slots: "too" })) check(deps, id);
}

/** The task that holds a shim ends when the shim dies, and its sandboxes with it. Others are not ours. */
async function checkShim(deps: Deps, { kind, id }: { kind: string; id: string }): Promise<void> {
  if (kind !== "exited") return;
  for (const member of deps.shims.lost(id)) check(deps, member as SandboxId);
}

/** Waits in the sandbox's line; a stop or pause that is under way ends it in its own manner. */
function check(deps: Deps, id: SandboxId): void {
  checkTask(deps, id).catch((err: unknown) =>
    deps.log.error({ err, sandbox: id }, "could not check on a sandbox"),
  );
}
