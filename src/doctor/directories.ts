/** Where the agent keeps its data, and where CRIU keeps its cache. */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { failure, type Judgement, ok, warning } from "./finding.js";
import type { Host } from "./host.js";
import { nearestDirectory } from "./overlayfs.js";

const gibibyte = 1024 ** 3;

export async function checkDataDirectory(host: Host): Promise<Judgement> {
  const directory = await nearestDirectory(host.config.dataDir);
  const room = await statfs(directory);
  const { stdout } = await host.run("findmnt", [
    "--noheadings",
    "--output",
    "OPTIONS",
    "--target",
    directory,
  ]);
  return judgeDataDirectory({
    directory,
    freeBytes: room.bavail * room.bsize,
    mountOptions: stdout.trim().split(","),
  });
}

export interface DataDirectoryFacts {
  readonly directory: string;
  readonly freeBytes: number;
  readonly mountOptions: readonly string[];
}

export function judgeDataDirectory({ directory, freeBytes, mountOptions }: DataDirectoryFacts): Judgement {
  const free = `${(freeBytes / gibibyte).toFixed(1)} GiB free in ${directory}`;
  const forbidding = mountOptions.filter((option) => ["ro", "noexec"].includes(option));
  if (forbidding.length > 0) {
    return failure(`${directory} is mounted ${forbidding.join(", ")}`, "put data_dir on another file system");
  }
  if (freeBytes < gibibyte) return failure(free, "free space there, or put data_dir elsewhere");
  if (freeBytes < 10 * gibibyte) return warning(free, "checkpoints take what the sandboxes' memory takes");
  return ok(free);
}

export async function checkRunDirectory(host: Host): Promise<Judgement> {
  const pinned = join(host.config.runDir, "ns/mnt");
  const isPinned = (await fileSystemType(host, [], pinned)) === "nsfs";
  const type = await fileSystemType(host, isPinned ? [`--mount=${pinned}`] : [], "/run");
  return judgeRunDirectory({ type, isPinned });
}

/** As stat(1) names it, seen from a mount namespace if one is given. */
async function fileSystemType(host: Host, namespace: readonly string[], path: string): Promise<string> {
  const look = ["stat", "--file-system", "--format=%T", path];
  const { stdout, exitCode } =
    namespace.length === 0
      ? await host.run("stat", look.slice(1))
      : await host.run("nsenter", [...namespace, ...look]);
  return exitCode === 0 ? stdout.trim() : "unknown";
}

export interface RunDirectoryFacts {
  readonly type: string;
  /** Looked at in the private mount namespace that scripts/runtime made. */
  readonly isPinned: boolean;
}

export function judgeRunDirectory({ type, isPinned }: RunDirectoryFacts): Judgement {
  const where = isPinned ? "in the agent's mount namespace" : "in the machine's mount namespace";
  if (type === "tmpfs") return ok(`tmpfs ${where}`);
  return warning(
    `no tmpfs but ${type} ${where}: CRIU keeps no cache, about 40 ms more for each dump and restore`,
    "start containerd with scripts/runtime up, which gives it a tmpfs there",
  );
}
