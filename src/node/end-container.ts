/** The end of what runs of a sandbox: however far it got, and whether its shim lives or not. */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { DomainError, isDomainError } from "../lib/errors.js";
import { present } from "../lib/present.js";
import { killProcess } from "../lib/process-identity.js";
import { settleAll } from "../lib/settle.js";
import { waitUntil, withDeadline } from "../lib/signal.js";
import type { Deps } from "./deps.js";

const sigkill = 9;

export type EndingDeps = Pick<Deps, "containerd" | "freezer" | "settings" | "endings">;

/** Ends what runs of a container, however far it got, and removes its task. Idempotent. Gives its exit status. */
export function removeTask(deps: EndingDeps, id: string): Promise<number | undefined> {
  const end = async (signal: AbortSignal) => {
    try {
      await kill(deps, id, signal);
      return (await deps.containerd.tasks.delete(id, signal)).status;
    } catch (thrown) {
      if (!isDomainError(thrown, "not_found")) throw thrown;
      return endShimless(deps, id, signal);
    }
  };
  // The time in the line is not its own.
  return deps.endings.run(() => withDeadline(`ending the task of ${id}`, 60_000, end));
}

/** Kills every process of a task, which is not removed. Returns once they have ended. */
export async function killTask(deps: Pick<Deps, "containerd" | "freezer">, id: string): Promise<void> {
  await withDeadline(`ending the processes of ${id}`, 60_000, (signal) =>
    // Without a shim nobody says when they have ended.
    ignoring("not_found", kill(deps, id, signal)),
  );
}

/** Of a task that is frozen, without letting a process run on. */
async function kill(
  { containerd, freezer }: Pick<Deps, "containerd" | "freezer">,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  if (await freezer.isFrozen(id)) {
    await freezer.kill(id);
    await containerd.tasks.wait(id, signal);
    return;
  }
  const task = await containerd.tasks.get(id, signal);
  if (task.status === "stopped") return;
  if (task.status === "created") {
    await ignoring("not_found", containerd.tasks.kill(id, { signalNumber: sigkill }, signal));
    return;
  }
  // The first process of a pid namespace takes the others along. containerd would start runc for the same.
  killProcess(task.pid);
  await containerd.tasks.wait(id, signal);
}

/**
 * containerd knows nothing to run here: there never was, or its shim died. Of that the processes run on, and there
 * are runc's state, the cgroups, and the root filesystem's mount. Gives their exit status when there were any.
 */
async function endShimless(deps: EndingDeps, id: string, signal: AbortSignal): Promise<number | undefined> {
  const { containerd, freezer, settings } = deps;
  const root = join(settings.runcRoot, containerd.namespace);
  if ((await present(stat(join(root, id)))) === undefined) return undefined;
  const isGone = async () => {
    await freezer.kill(id);
    return (await freezer.pids(id)).length === 0 ? true : undefined;
  };
  await waitUntil(
    `the end of sandbox ${id}'s processes`,
    isGone,
    { intervalMs: 10, timeoutMs: 30_000 },
    signal,
  );
  await execa(settings.runc, ["--root", root, "delete", "--force", id], { cancelSignal: signal }).catch(
    (cause: unknown) => {
      throw new DomainError("internal", `runc cannot delete ${id}`, { cause });
    },
  );
  // The first one fails with the closed connection once it has unmounted and removed everything.
  const removeBundle = () => ignoring("not_found", containerd.tasks.delete(id, signal));
  await removeBundle().catch(removeBundle);
  return 128 + sigkill;
}

async function ignoring(code: "not_found", work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (!isDomainError(thrown, code)) throw thrown;
  }
}

/** Removes everything of a container but the sandbox's layer. Idempotent. Gives its exit status. */
export async function removeContainer(
  deps: EndingDeps & Pick<Deps, "paths" | "shims">,
  id: string,
): Promise<number | undefined> {
  const status = await removeTask(deps, id);
  const removeRecord = deps.containerd.containers.delete(id).then(() => deps.shims.leave(id));
  await settleAll(removeRecord, rm(deps.paths.sandbox(id), { recursive: true, force: true }));
  return status;
}
