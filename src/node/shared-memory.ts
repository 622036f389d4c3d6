/**
 * The memory that sandboxes share. A dump's bulk memory goes into files; each checkpoint and each sandbox has names
 * (hard links) for all of them that it needs, so none goes while anything maps it.
 */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { convertDump } from "../criu/image/convert-dump.js";
import { guardProcesses } from "../criu/image/guard.js";
import { linkMemory } from "../criu/image/link-memory.js";
import { hasMemoryNames } from "../criu/image/memory-names.js";
import { present, presentSync } from "../lib/present.js";
import { guestMountPoint, memoryPath } from "../sandbox/oci-spec.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { checkpointFiles } from "./paths.js";

/** What a checkpoint's memory takes. */
export interface MemorySizes {
  /** Of its own. */
  readonly memoryBytes: number;
  /** In files of earlier checkpoints, on which it builds. */
  readonly inheritedBytes: number;
}

type MemoryDeps = Pick<Deps, "paths" | "settings" | "memoryd">;

export interface Sharing {
  readonly sandbox: SandboxId;
  readonly checkpoint: string;
  /** Move bulk memory into files of its own. What is mapped from earlier files stays that way in any case. */
  readonly move: boolean;
}

const guestPid = 1;
/** A restore reads so much in the time that taking over a process's listener takes. */
const movedBytesMin = 4 * 1024 * 1024;

/** Whether a sandbox has memory files, so that memoryd answers for it. */
export function hasMemory({ paths }: Pick<MemoryDeps, "paths">, sandbox: string): boolean {
  return (presentSync(() => readdirSync(paths.memoryDir(sandbox))) ?? []).length > 0;
}

/** After the dump, before its images are digested. The sandbox may be running on. */
export async function shareMemory(
  { paths, settings, memoryd, failpoint }: MemoryDeps & Pick<Deps, "failpoint">,
  { sandbox, checkpoint, move }: Sharing,
  signal: AbortSignal,
): Promise<MemorySizes> {
  const directory = paths.checkpoint(checkpoint);
  const images = join(directory, checkpointFiles.images);
  const memory = join(directory, checkpointFiles.memory);
  const own = paths.memoryDir(sandbox);
  // What was taken away by hand is in the dump still.
  const hasEarlier = hasMemory({ paths }, sandbox) || (await hasMemoryNames(images, memoryPath));
  if (!hasEarlier && !(move && memoryd.isAvailable))
    return { memoryBytes: bytesIn(images), inheritedBytes: 0 };
  mkdirSync(memory, { mode: 0o700 });
  const converted = await convertDump(
    {
      ...{ images, memory, earlierMemory: own, checkpoint, memoryPath, mountPath: guestMountPoint },
      written: () => failpoint("checkpoint.moved"),
      owner: { uid: 0, gid: settings.ids.base },
      isWorthIt: (pid, movedBytes) =>
        move && memoryd.isAvailable && pid !== guestPid && movedBytes >= movedBytesMin,
    },
    signal,
  );
  const pids = converted.processes.filter(({ mapsMemory }) => mapsMemory).map(({ pid }) => pid);
  // Where there was memory before, so are guards.
  if (pids.length > 0 || hasEarlier) await guardProcesses({ images, pids }, signal);
  const moved = bytesIn(memory);
  await linkMemory(own, memory, converted.earlier);
  return {
    memoryBytes: bytesIn(images) + moved,
    inheritedBytes: bytesIn(memory) - moved,
  };
}

/** Of the files that a sandbox maps: what it shares with others at most, however much of it is read or changed. */
export async function sharedBytesMax(
  { paths }: Pick<MemoryDeps, "paths">,
  sandbox: SandboxId,
): Promise<number> {
  return presentSync(() => bytesIn(paths.memoryDir(sandbox))) ?? 0;
}

/** Pages of a whole checkpoint that a restore reads, so that each sandbox has its own; 0 when it has gone. */
export async function readBytesOf({ paths }: Pick<MemoryDeps, "paths">, checkpoint: string): Promise<number> {
  return presentSync(() => bytesIn(join(paths.checkpoint(checkpoint), checkpointFiles.images))) ?? 0;
}

const blockBytes = 512;

/** Of pages and memory files, which have holes. */
function bytesIn(directory: string): number {
  const names = readdirSync(directory).filter((name) => !name.endsWith(".img") || name.startsWith("pages-"));
  const stats = names.map((name) => statSync(join(directory, name)));
  return stats.reduce((sum, { size, blocks }) => sum + Math.min(size, blocks * blockBytes), 0);
}

/**
 * Makes the directory of a sandbox's memory files, with those of the checkpoint that it is restored from. Only host
 * root can change what is in it: a file is the memory of others too. Gives whether there are any.
 */
export async function placeMemory(
  { paths, settings }: Pick<MemoryDeps, "paths" | "settings">,
  sandbox: SandboxId,
  checkpointDir: string | undefined,
): Promise<boolean> {
  const own = paths.memoryDir(sandbox);
  await mkdir(own, { mode: 0o750 });
  await chown(own, 0, settings.ids.base);
  if (checkpointDir === undefined) return false;
  const from = join(checkpointDir, checkpointFiles.memory);
  const names = (await present(readdir(from))) ?? [];
  await linkMemory(from, own, names);
  return names.length > 0;
}
