/** Whether a sandbox runs. */
import { isDomainError } from "../lib/errors.js";
import { waitUntil } from "../lib/signal.js";
import type { EnvdDeps } from "./deps.js";

/** What runs, or stands still for a moment. */
export async function isThere({ node }: Pick<EnvdDeps, "node">, sandbox: string): Promise<boolean> {
  try {
    return "pid" in (await node.sandboxes.get(sandbox)).state;
  } catch (thrown) {
    if (isDomainError(thrown, "not_found")) return false;
    throw thrown;
  }
}

const goneMs = 5000;

/** That a guest has died is heard from it sooner than from containerd. Gives whether the sandbox has gone by then. */
export async function untilGone(deps: Pick<EnvdDeps, "node">, sandbox: string): Promise<boolean> {
  const isGone = async () => ((await isThere(deps, sandbox)) ? undefined : true);
  const limits = { intervalMs: 20, timeoutMs: goneMs };
  return waitUntil("the end of a sandbox", isGone, limits, AbortSignal.timeout(goneMs)).catch(() => false);
}
