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
import { settleAll } from "../lib/settle.js";
import { withDeadline } from "../lib/signal.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { writeDumpConfig } from "./dump-config.js";
import { copyUpper, type LayerCopy, prepareLayerCopy, removeLayerCopy } from "./layer.js";
import { checkpointFiles } from "./paths.js";
import { refuseTraced } from "./traced.js";

type DumpDeps = Pick<Deps, "containerd" | "freezer" | "guests" | "paths" | "settings" | "failpoint" | "log">;

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
  const { freezer, guests, paths } = deps;
  await using undo = openScope();
  const directory = paths.partial(options.checkpoint);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  // At a restore CRIU opens some images as the mapped root, relative to their directory; above it only root passes.
  await mkdir(join(directory, checkpointFiles.images), { recursive: true, mode: 0o755 });
  await mkdir(join(directory, checkpointFiles.work), { mode: 0o700 });
  if (options.copyLayer) undo.defer(() => removeLayerCopy(deps, options.checkpoint));
  await refuseTraced(sandbox.id, await freezer.pids(sandbox.id));
  undo.defer(() => reopen(deps, sandbox));
  await guests.close(sandbox.id, signal);
  const frozen = startStopwatch();
  undo.defer(() => thaw(deps, sandbox));
  await freezer.freeze(sandbox.id);
  deps.failpoint("checkpoint.frozen");
  const [, copy] = await settleAll(
    checkpointTask(deps, sandbox, directory),
    options.copyLayer ? copyLayer(deps, sandbox, options.checkpoint) : undefined,
  );
  deps.failpoint(options.stayFrozen ? "pause.dumped" : "checkpoint.dumped");
  let freezeMs = frozen();
  if (!options.stayFrozen) {
    await freezer.thaw(sandbox.id);
    freezeMs = frozen();
    deps.failpoint("checkpoint.thawed");
    await guests.open(sandbox.id, AbortSignal.timeout(30_000));
  }
  undo.move();
  return copy === undefined ? { freezeMs } : { freezeMs, copy };
}

async function copyLayer(deps: DumpDeps, sandbox: Sandbox, checkpoint: string): Promise<LayerCopy> {
  const sandboxKey = sandbox.snapshotKey;
  const [copy, mounts] = await settleAll(
    prepareLayerCopy(deps, { checkpoint, sandboxKey }),
    deps.containerd.snapshots.mounts(sandboxKey),
  );
  await copyUpper(upperDirectory(mounts), copy.directory);
  return copy;
}

async function checkpointTask(deps: DumpDeps, sandbox: Sandbox, directory: string): Promise<void> {
  const workDirectory = join(directory, checkpointFiles.work);
  await writeDumpConfig(deps, sandbox.id);
  try {
    const imagesDirectory = join(directory, checkpointFiles.images);
    await deps.containerd.tasks.checkpoint(sandbox.id, { imagesDirectory, workDirectory, exit: false });
  } catch (thrown) {
    const text = await readTail(join(workDirectory, "dump.log"), criuLogBytesMax);
    throw dumpError(sandbox.id, text, thrown);
  }
}

/** Lets a sandbox run on after a dump that failed, or whose pause could not be recorded. */
export async function thaw(
  { containerd, freezer, log }: Pick<Deps, "containerd" | "freezer" | "log">,
  sandbox: Sandbox,
): Promise<void> {
  await withDeadline(`thawing sandbox ${sandbox.id}`, 60_000, async (signal) => {
    await freezer.thaw(sandbox.id);
    // containerd goes by its own note of who was paused, by an operator say.
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
