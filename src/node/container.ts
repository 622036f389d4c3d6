/** The container behind a running sandbox: made, and started cold or restored. */
import { chmod, chown, link, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Mount } from "../containerd/mounts.js";
import { criuConfig } from "../criu/config.js";
import { criuLogBytesMax, isWantOfMemory, restoreError } from "../criu/log.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { readProcessIdentity } from "../lib/process-identity.js";
import { readTail } from "../lib/read-tail.js";
import { openScope, type Scope } from "../lib/scope.js";
import { settleAll } from "../lib/settle.js";
import { buildOciSpec } from "../sandbox/oci-spec.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import { type Deps, labels } from "./deps.js";
import { removeTask } from "./end-container.js";
import { limitMemory, withSpareMemory } from "./memory-limit.js";
import { checkpointFiles } from "./paths.js";
import { placeMemory } from "./shared-memory.js";
import { startError } from "./start-error.js";

type ContainerDeps = Pick<
  Deps,
  | "cgroups"
  | "containerd"
  | "freezer"
  | "guests"
  | "paths"
  | "settings"
  | "log"
  | "launches"
  | "restores"
  | "endings"
  | "shims"
  | "memoryd"
  | "failpoint"
>;

export interface LiveProcess {
  readonly pid: number;
  readonly pidStart: string;
}

export interface Launch {
  readonly sandbox: Sandbox;
  /** Makes or finds the layer and gives its mounts; runs beside the rest of the preparation. */
  readonly rootfs: (signal: AbortSignal) => Promise<readonly Mount[]>;
  /** Directory of a whole checkpoint; absent for a cold start. */
  readonly checkpointDir?: string;
}

/**
 * Makes the container of a sandbox and waits until its guest answers. Whatever fails, nothing of it stays but
 * the layer. The caller's signal is heeded before the restore, not in its middle.
 */
export function launch(deps: ContainerDeps, made: Launch, signal: AbortSignal): Promise<LiveProcess> {
  return deps.launches.run(() => launchWithin(deps, made, signal), signal);
}

/** Within the sandbox's memory limit, or, where a restore needs more for a moment, with room to spare. */
async function launchWithin(deps: ContainerDeps, made: Launch, signal: AbortSignal): Promise<LiveProcess> {
  let mounts: ReturnType<Launch["rootfs"]> | undefined;
  const rootfs = (linked: AbortSignal) => (mounts ??= made.rootfs(linked));
  const { memoryBytes } = made.sandbox.spec.limits;
  try {
    return await launchNow(deps, { ...made, rootfs }, signal);
  } catch (thrown) {
    if (memoryBytes === undefined || made.checkpointDir === undefined || !isWantOfMemory(thrown))
      throw thrown;
    deps.log.info({ sandbox: made.sandbox.id }, "restoring again with memory to spare");
    return launchNow(deps, { ...made, rootfs, spare: true }, signal);
  }
}

async function launchNow(
  deps: ContainerDeps,
  { sandbox, rootfs, checkpointDir, spare = false }: Launch & { readonly spare?: boolean },
  signal: AbortSignal,
): Promise<LiveProcess> {
  const { containerd, guests, paths } = deps;
  const { memoryBytes } = sandbox.spec.limits;
  await using undo = openScope();
  const [mounts, , sharesMemory] = await settleAll(
    rootfs(signal),
    createContainer(
      deps,
      spare ? { ...sandbox, spec: withSpareMemory(sandbox.spec) } : sandbox,
      undo,
      signal,
    ),
    makeDirectories(deps, { sandbox, checkpointDir }, undo),
  );
  const workDirectory = paths.restoreWork(sandbox.id);
  const restoreFrom =
    checkpointDir === undefined
      ? {}
      : { restoreFrom: { imagesDirectory: join(checkpointDir, checkpointFiles.images), workDirectory } };
  undo.defer(() => removeTask(deps, sandbox.id));
  const pid = await deps.restores.run(async () => {
    const { runc, runcRoot } = deps.settings;
    const task = { id: sandbox.id, rootfs: mounts, runc, runcRoot, ...restoreFrom };
    const created = await containerd.tasks.create(task).catch((thrown: unknown) => {
      throw startError(sandbox.spec.image, thrown);
    });
    const [started] = await settleAll(
      startTask(deps, sandbox, checkpointDir !== undefined),
      // A restore brings the mount back.
      checkpointDir === undefined ? showBootId(deps, sandbox, created.pid) : undefined,
    );
    return started.pid;
  }, signal);
  if (spare && memoryBytes !== undefined) await limitMemory(deps.cgroups, pid, memoryBytes);
  deps.failpoint("launch.restored");
  const identity = await readProcessIdentity(pid);
  if (identity === undefined)
    throw toDomainError(undefined, `sandbox ${sandbox.id} ended as soon as it began`);
  undo.defer(() =>
    guests.remove(sandbox.id, toDomainError(undefined, `sandbox ${sandbox.id} did not start`)),
  );
  await settleAll(
    guests.add(sandbox.id, paths.guestDir(sandbox.id), signal),
    // Until then its processes wait when they give memory back.
    sharesMemory ? deps.memoryd.adopt(deps.freezer.procsPath(sandbox.id)) : undefined,
  );
  undo.move();
  return { pid, pidStart: identity.start };
}

async function startTask(
  deps: ContainerDeps,
  sandbox: Sandbox,
  isRestore: boolean,
): Promise<{ pid: number }> {
  try {
    return await deps.containerd.tasks.start(sandbox.id);
  } catch (thrown) {
    if (!isRestore) throw thrown;
    const logPath = join(deps.paths.restoreWork(sandbox.id), "restore.log");
    const text = await readTail(logPath, criuLogBytesMax);
    throw restoreError(sandbox.id, text, thrown);
  }
}

async function makeDirectories(
  { paths, settings }: ContainerDeps,
  { sandbox, checkpointDir }: { readonly sandbox: Sandbox; readonly checkpointDir: string | undefined },
  undo: Scope,
): Promise<boolean> {
  const directory = paths.sandbox(sandbox.id);
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  await rm(directory, { recursive: true, force: true });
  // The mapped root walks through here to its guest directory.
  await mkdir(directory, { recursive: true, mode: 0o711 });
  await mkdir(paths.guestDir(sandbox.id));
  const [hasMemory] = await settleAll(
    placeMemory({ paths, settings }, sandbox.id, checkpointDir),
    fillGuestDirectory({ paths, settings }, sandbox),
    mkdir(paths.restoreWork(sandbox.id), { mode: 0o700 }),
    writeFile(paths.criuConfig(sandbox.id), criuConfig(), { mode: 0o600 }),
  );
  return hasMemory;
}

async function fillGuestDirectory(
  { paths, settings }: Pick<ContainerDeps, "paths" | "settings">,
  { id, spec }: Sandbox,
): Promise<void> {
  const guestDir = paths.guestDir(id);
  await settleAll(
    // Only host root's to change: the directory is sticky.
    spec.bootId === undefined ? undefined : writeFile(paths.bootId(id), `${spec.bootId}\n`, { mode: 0o444 }),
    link(paths.guestBinary(spec.guestVersion), join(guestDir, "guest")),
    chown(guestDir, 0, settings.ids.base),
  );
  // The mapped root may make its socket here, and take away nothing but its own.
  await chmod(guestDir, 0o1775);
}

async function createContainer(
  { containerd, paths, settings, shims }: ContainerDeps,
  sandbox: Sandbox,
  undo: Scope,
  signal: AbortSignal,
): Promise<void> {
  undo.defer(() => shims.leave(sandbox.id));
  const shim = await shims.join(sandbox.id, signal);
  const spec = buildOciSpec(sandbox.spec, {
    id: sandbox.id,
    guestDir: paths.guestDir(sandbox.id),
    criuConfigPath: paths.criuConfig(sandbox.id),
    uidBase: settings.ids.base,
    idCount: settings.ids.size,
    hookPath: paths.guestBinary(settings.guestVersion),
    emptyDir: paths.empty,
  });
  await containerd.containers.create(
    {
      id: sandbox.id,
      image: sandbox.spec.image,
      spec,
      snapshotKey: sandbox.snapshotKey,
      labels: { [labels.sandbox]: sandbox.id },
      shim,
    },
    signal,
  );
  undo.defer(() => containerd.containers.delete(sandbox.id));
}

/**
 * Nobody but the guest runs in it yet, and all its other mounts are there since it was made. runc mounts nothing below
 * /proc/sys, so the guest's binary does, from outside.
 */
async function showBootId(
  { paths, settings }: ContainerDeps,
  { id, spec }: Sandbox,
  pid: number,
): Promise<void> {
  if (spec.bootId === undefined) return;
  await execa(paths.guestBinary(settings.guestVersion), ["--show-boot-id", String(pid)]).catch(
    (cause: unknown) => {
      throw new DomainError("internal", `sandbox ${id} cannot be given a boot id`, { cause });
    },
  );
}
