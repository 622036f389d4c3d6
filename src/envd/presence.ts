/** Whether a sandbox runs. */
import { guestErrorOf } from "../guest-client/errors.js";
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
/** For who waits for an answer. */
const leavingMs = 1000;

/** That a guest has died is heard from it sooner than from containerd. Gives whether the sandbox has gone by then. */
export async function untilGone(
  deps: Pick<EnvdDeps, "node">,
  sandbox: string,
  timeoutMs = goneMs,
): Promise<boolean> {
  const isGone = async () => ((await isThere(deps, sandbox)) ? undefined : true);
  const limits = { intervalMs: 20, timeoutMs };
  return waitUntil("the end of a sandbox", isGone, limits, AbortSignal.timeout(timeoutMs)).catch(() => false);
}

/** Whether it failed because the sandbox was paused or deleted, or ended, meanwhile. */
export async function failedByEnd(
  deps: Pick<EnvdDeps, "node">,
  sandbox: string,
  thrown: unknown,
): Promise<boolean> {
  if (isDomainError(thrown, "failed_precondition")) return !(await isThere(deps, sandbox));
  const mayBe = isDomainError(thrown, "unavailable") && guestErrorOf(thrown) === undefined;
  return mayBe && (await untilGone(deps, sandbox, leavingMs));
}
