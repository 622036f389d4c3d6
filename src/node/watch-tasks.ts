/** Follows containerd's events: a guest that ends by itself, or a sandbox that ran out of memory, is noted. */
import { isId } from "../lib/ids.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { noteExit } from "./stop.js";

/** Runs until the signal aborts. */
export async function watchTasks(deps: Deps, signal: AbortSignal): Promise<void> {
  for await (const event of deps.containerd.events.tasks(signal)) {
    if (event.kind === "subscribed") {
      // What ended while nobody listened.
      for (const { id } of deps.store.sandboxes.list({ statuses: ["running"] })) note(deps, id);
    } else if (isId(event.id)) {
      if (event.kind === "exited") note(deps, event.id as SandboxId);
      if (event.kind === "oom") deps.record("sandbox.oom", { sandbox: event.id });
    }
  }
}

/** Waits in the sandbox's line; a stop or pause that is under way ends it in its own manner. */
function note(deps: Deps, id: SandboxId): void {
  noteExit(deps, id).catch((err: unknown) =>
    deps.log.error({ err, sandbox: id }, "could not note the end of a sandbox"),
  );
}
