/**
 * Limits of the kernel that count per user of the host: all sandboxes share one range of ids, so they count all
 * sandboxes together, and a start that meets one fails. What they guard against counts as a sandbox's memory.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../lib/log.js";

export interface HostLimit {
  /** Below /proc/sys. */
  readonly path: string;
  readonly atLeast: number;
  /** What the kernel takes for no limit. */
  readonly unlimited?: number;
}

export const hostLimits: readonly HostLimit[] = [
  // 16384 pages are 1024 pipes; beyond them, none can be given back its size (pipe(7)).
  { path: "fs/pipe-user-pages-soft", atLeast: Number.POSITIVE_INFINITY, unlimited: 0 },
  // 128 by default (inotify(7)).
  { path: "fs/inotify/max_user_instances", atLeast: 65_536 },
  { path: "fs/inotify/max_user_watches", atLeast: 1_048_576 },
  // runc gives each container that it starts cold a session keyring: 200 keys and 20000 bytes by default (keyrings(7)).
  { path: "kernel/keys/maxkeys", atLeast: 65_536 },
  { path: "kernel/keys/maxbytes", atLeast: 8_388_608 },
];

/** The value to set; undefined when it is enough. */
export function raised({ atLeast, unlimited }: HostLimit, current: number): number | undefined {
  if (current === unlimited || current >= atLeast) return undefined;
  return unlimited ?? atLeast;
}

/** Raises those that are too low, and says so; never lowers one. */
export async function raiseHostLimits(log: Pick<Logger, "info" | "warn">): Promise<void> {
  for (const limit of hostLimits) {
    const file = join("/proc/sys", limit.path);
    const sysctl = limit.path.replaceAll("/", ".");
    try {
      const from = Number(await readFile(file, "utf8"));
      const to = raised(limit, from);
      if (to === undefined) continue;
      await writeFile(file, String(to));
      log.info({ sysctl, from, to }, "raised a limit of the kernel");
    } catch (err) {
      log.warn({ err, sysctl }, "a limit of the kernel cannot be raised; many sandboxes may exceed it");
    }
  }
}
