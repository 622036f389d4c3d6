/**
 * Memory and filesystem of a running sandbox at one instant, into a directory that no record knows yet.
 * The order is: quiesce the guest, freeze, dump and copy side by side, thaw, let the guest's clients back in.
 */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { returnTerminals } from "../criu/image/terminals.js";
import { criuLogBytesMax, dumpError } from "../criu/log.js";
import { startStopwatch } from "../lib/clock.js";
import { type Begun, readAhead } from "../lib/read-ahead.js";
import { readTail } from "../lib/read-tail.js";
import { openScope } from "../lib/scope.js";
import { settleAll } from "../lib/settle.js";
import { withDeadline } from "../lib/signal.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { writeDumpConfig } from "./dump-config.js";
import { checkpointFiles } from "./paths.js";
import { freezeServed, refuseTraced } from "./traced.js";

type DumpDeps = Pick<
  Deps,
  "containerd" | "freezer" | "guests" | "memoryd" | "paths" | "settings" | "failpoint" | "log"
>;

export interface DumpOptions {
  readonly checkpoint: string;
  /**
   * Work for the time in which the processes stand still, as copying the writable layer; the dump waits for it. It
   * begins once CRIU has been asked: whatever the agent did before that, the sandbox would stand still for longer.
   */
  readonly beside?: () => Promise<void>;
  /** The images are going to be digested and made durable: begin with that while CRIU writes them. */
  readonly readAhead: boolean;
  /** Leave the processes frozen: the caller kills them once the checkpoint is recorded. */
  readonly stayFrozen: boolean;
}

export interface Dump {
  /** How long the processes stood still; so far, when they still do. */
  readonly freezeMs: number;
  /** What has been read of the images, by name. */
  readonly begun: ReadonlyMap<string, Begun>;
  /**
   * The guest's clients are back, or it does not answer. Settles while others work on the images; until it has,
   * the sandbox's line is not to be left.
   */
  readonly opened: Promise<void>;
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
  const directory = paths.checkpoint(options.checkpoint);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  await refuseTraced(freezer, sandbox.id, signal);
  await deps.memoryd.settle(freezer.procsPath(sandbox.id), signal);
  undo.defer(() => reopen(deps, sandbox));
  await settleAll(guests.close(sandbox.id, signal), makeDirectories(directory));
  const frozen = startStopwatch();
  undo.defer(() => thaw(deps, sandbox));
  await freezeServed(deps, sandbox.id);
  deps.failpoint("checkpoint.frozen");
  await writeDumpConfig(deps, sandbox.id);
  const reading = options.readAhead
    ? readAhead(join(directory, checkpointFiles.images), pagesName)
    : undefined;
  undo.defer(() => reading?.end());
  await settleAll(checkpointTask(deps, sandbox, directory), options.beside?.());
  await returnTerminals(join(directory, checkpointFiles.images));
  deps.failpoint(options.stayFrozen ? "pause.dumped" : "checkpoint.dumped");
  if (!options.stayFrozen) await freezer.thaw(sandbox.id);
  const freezeMs = frozen();
  if (!options.stayFrozen) deps.failpoint("checkpoint.thawed");
  const opened = options.stayFrozen
    ? Promise.resolve()
    : guests.open(sandbox.id, AbortSignal.timeout(30_000));
  opened.catch(() => {});
  await reading?.end();
  undo.move();
  return { freezeMs, begun: reading?.begun ?? new Map(), opened };
}

async function makeDirectories(directory: string): Promise<void> {
  // At a restore CRIU opens some images as the mapped root, relative to their directory; above it only root passes.
  await mkdir(join(directory, checkpointFiles.images), { recursive: true, mode: 0o755 });
  await mkdir(join(directory, checkpointFiles.work), { mode: 0o700 });
}

/** CRIU splices the pages of one process after another into these, and never goes back. */
const pagesName = /^pages-\d+\.img$/;

async function checkpointTask(deps: DumpDeps, sandbox: Sandbox, directory: string): Promise<void> {
  const workDirectory = join(directory, checkpointFiles.work);
  const dumping = new AbortController();
  try {
    const imagesDirectory = join(directory, checkpointFiles.images);
    await settleAll(
      deps.containerd.tasks
        .checkpoint(sandbox.id, { imagesDirectory, workDirectory, exit: false })
        .finally(() => dumping.abort()),
      deps.freezer.yieldStopped(sandbox.id, dumping.signal),
    );
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
