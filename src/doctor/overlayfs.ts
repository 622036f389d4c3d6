/** overlayfs, tried where the sandboxes' layers will be. */
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { failure, type Judgement, ok } from "./finding.js";
import type { Host } from "./host.js";

/** Mounts in a private mount namespace, which ends with the command. */
const trial = `set -e
cd "$1"
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
: > merged/written
test -e upper/written`;

export async function checkOverlayfs(host: Host): Promise<Judgement> {
  const filesystems = (await host.read("/proc/filesystems")) ?? "";
  const parent = await nearestDirectory(host.config.dataDir);
  const directory = await mkdtemp(join(parent, ".ramet-doctor-"));
  try {
    for (const name of ["lower", "upper", "work", "merged"]) await mkdir(join(directory, name));
    const args = ["--mount", "--propagation", "private", "sh", "-c", trial, "sh", directory];
    const { exitCode, complaint } = await host.run("unshare", args);
    const isListed = /\boverlay$/m.test(filesystems);
    return judgeOverlayfs({ isListed, parent, complaint: exitCode === 0 ? undefined : complaint });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export interface OverlayTrial {
  /** In /proc/filesystems; a module may be loaded by the first mount. */
  readonly isListed: boolean;
  readonly parent: string;
  readonly complaint: string | undefined;
}

export function judgeOverlayfs({ isListed, parent, complaint }: OverlayTrial): Judgement {
  if (complaint === undefined) return ok(`mounted and written to in ${parent}`);
  if (!isListed) return failure(`the kernel has none: ${complaint}`, "modprobe overlay");
  return failure(
    `no mount with its layers in ${parent}: ${complaint}`,
    "put data_dir on ext4 or xfs, not on another overlayfs, and run as root",
  );
}

/** The directory itself, or the nearest above it that exists. */
export async function nearestDirectory(path: string): Promise<string> {
  const exists = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return exists || path === "/" ? path : nearestDirectory(dirname(path));
}
