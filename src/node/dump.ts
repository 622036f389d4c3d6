/**
 * Memory and filesystem of a running sandbox at one instant, into a directory that is not yet a checkpoint.
 * The order is: quiesce the guest, freeze, dump and copy side by side, thaw, let the guest's clients back in.
 */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { upperDirectory } from "../containerd/mounts.js";
import { criuLogBytesMax, dumpError } from "../criu/log.js";
import { startStopwatch } from "../lib/clock.js";
import { readTail } from "../lib/read-tail.js";
import { openScope } from "../lib/scope.js";
import { withDeadline } from "../lib/signal.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { copyUpper, type LayerCopy, prepareLayerCopy, removeLayerCopy } from "./layer.js";
import { checkpointFiles } from "./paths.js";

type DumpDeps = Pick<Deps, "containerd" | "guests" | "paths" | "settings" | "failpoint" | "log">;

export interface DumpOptions {
  readonly checkpoint: string;
  /** Copy the writable layer, for a sandbox that runs on or another one to stand on. */
  readonly copyLayer: boolean;
  /** Leave the processes frozen: the caller kills them once the checkpoint is recorded. */
  readonly stayFrozen: boolean;
}

export interface Dump {
  /** How long the processes stood still; so far, when they still do. */
  readonly freezeMs: number;
  readonly copy?: LayerCopy;
}

/**
 * The caller's signal is heeded until the freeze; from there the dump runs to its end, bounded by containerd's
 * deadlines. When it fails, the sandbox runs as before, and nothing is left of the attempt.
 */
export async function dump(
  deps: DumpDeps,
  sandbox: Sandbox,
  options: DumpOptions,
  signal: AbortSignal,
): Promise<Dump> {
  const { containerd, guests, paths } = deps;
  await using undo = openScope();
  const directory = paths.partial(options.checkpoint);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  // At a restore CRIU opens some images as the mapped root, relative to their directory; above it only root passes.
  await mkdir(join(directory, checkpointFiles.images), { recursive: true, mode: 0o755 });
  await mkdir(join(directory, checkpointFiles.work), { mode: 0o700 });
  let copy: LayerCopy | undefined;
  let upper = "";
  if (options.copyLayer) {
    undo.defer(() => removeLayerCopy(deps, options.checkpoint));
    const sandboxKey = sandbox.snapshotKey;
    copy = await prepareLayerCopy(deps, { checkpoint: options.checkpoint, sandboxKey }, signal);
    upper = upperDirectory(await containerd.snapshots.mounts(sandboxKey, signal));
  }
  undo.defer(() => reopen(deps, sandbox));
  await guests.close(sandbox.id, signal);
  const frozen = startStopwatch();
  undo.defer(() => thaw(deps, sandbox));
  await containerd.tasks.pause(sandbox.id);
  deps.failpoint("checkpoint.frozen");
  await settleBoth(
    checkpointTask(deps, sandbox, directory),
    copy === undefined ? undefined : copyUpper(upper, copy.directory),
  );
  deps.failpoint(options.stayFrozen ? "pause.dumped" : "checkpoint.dumped");
  let freezeMs = frozen();
  if (!options.stayFrozen) {
    await containerd.tasks.resume(sandbox.id);
    freezeMs = frozen();
    deps.failpoint("checkpoint.thawed");
    await guests.open(sandbox.id, AbortSignal.timeout(30_000));
  }
  undo.move();
  return copy === undefined ? { freezeMs } : { freezeMs, copy };
}

/** Both run to their end before a failure of either is thrown: nothing may still write when undoing starts. */
async function settleBoth(first: Promise<void>, second: Promise<void> | undefined): Promise<void> {
  const results = await Promise.allSettled([first, second]);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function checkpointTask({ containerd }: DumpDeps, sandbox: Sandbox, directory: string): Promise<void> {
  const workDirectory = join(directory, checkpointFiles.work);
  try {
    const imagesDirectory = join(directory, checkpointFiles.images);
    await containerd.tasks.checkpoint(sandbox.id, { imagesDirectory, workDirectory, exit: false });
  } catch (thrown) {
    const text = await readTail(join(workDirectory, "dump.log"), criuLogBytesMax);
    throw dumpError(sandbox.id, text, thrown);
  }
}

/** Lets a sandbox run on after a dump that failed, or whose pause could not be recorded. */
export async function thaw(
  { containerd, log }: Pick<Deps, "containerd" | "log">,
  sandbox: Sandbox,
): Promise<void> {
  await withDeadline(`thawing sandbox ${sandbox.id}`, 60_000, async (signal) => {
    const task = await containerd.tasks.get(sandbox.id, signal);
    if (task.status === "paused" || task.status === "pausing")
      await containerd.tasks.resume(sandbox.id, signal);
  }).catch((err: unknown) => log.error({ err, sandbox: sandbox.id }, "could not thaw"));
}

export async function reopen({ guests, log }: Pick<Deps, "guests" | "log">, sandbox: Sandbox): Promise<void> {
  await guests
    .open(sandbox.id, AbortSignal.timeout(30_000))
    .catch((err: unknown) =>
      log.error({ err, sandbox: sandbox.id }, "the guest does not answer after a dump"),
    );
}
