/**
 * What the kernel says about control groups, in both of its versions: where a process's are, and what their files
 * hold. Pure. Formats: proc_pid_mountinfo(5), cgroups(7), the kernel's cgroup-v1 and cgroup-v2 documents.
 */
import { join, relative } from "node:path";
import { DomainError } from "../lib/errors.js";

/** The resources that are read; in version 1 each is a hierarchy of its own. */
export const resources = ["cpuacct", "memory", "pids"] as const;
export type Resource = (typeof resources)[number];

export interface CgroupMount {
  readonly mountPoint: string;
  /** The group that the mount point shows; not "/" where only a part is mounted. */
  readonly root: string;
}

export interface CgroupMounts {
  readonly v2: CgroupMount | undefined;
  /** By controller; named hierarchies as `name=systemd`. */
  readonly v1: ReadonlyMap<string, CgroupMount>;
}

/** Parses /proc/self/mountinfo. */
export function parseCgroupMounts(mountinfo: string): CgroupMounts {
  const v1 = new Map<string, CgroupMount>();
  let v2: CgroupMount | undefined;
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root = "", mountPoint = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    const mount = { mountPoint: plainPath(mountPoint), root: plainPath(root) };
    if (type === "cgroup2") v2 ??= mount;
    if (type === "cgroup")
      for (const option of options.split(",")) if (!v1.has(option)) v1.set(option, mount);
  }
  return { v1, v2 };
}

/** Blanks, tabs, newlines and backslashes are octal there. */
function plainPath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** `hybrid`: version 1 has the controllers, version 2 is mounted beside it without any. */
export function cgroupLayout({ v1, v2 }: CgroupMounts): "v1" | "hybrid" | "v2" {
  if (!v1.has("memory")) return "v2";
  return v2 === undefined ? "v1" : "hybrid";
}

export interface CgroupMembership {
  readonly v2: string | undefined;
  readonly v1: ReadonlyMap<string, string>;
}

/** Parses /proc/PID/cgroup: `hierarchy:controllers:path`, version 2 as `0::path`. */
export function parseMembership(text: string): CgroupMembership {
  const v1 = new Map<string, string>();
  let v2: string | undefined;
  for (const line of text.split("\n")) {
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    const [, hierarchy, controllers = "", path = ""] = match ?? [];
    if (hierarchy === "0" && controllers === "") v2 = path;
    else if (match !== null) for (const controller of controllers.split(",")) v1.set(controller, path);
  }
  return { v1, v2 };
}

export interface CgroupDirectory {
  readonly version: 1 | 2;
  readonly path: string;
}

/** Where a resource of that process is counted. */
export function cgroupDirectory(
  resource: Resource,
  mounts: CgroupMounts,
  membership: CgroupMembership,
): CgroupDirectory {
  const v1 = directory(mounts.v1.get(resource), membership.v1.get(resource));
  if (v1 !== undefined) return { version: 1, path: v1 };
  const v2 = directory(mounts.v2, membership.v2);
  if (v2 !== undefined) return { version: 2, path: v2 };
  throw new DomainError("failed_precondition", `the ${resource} cgroup of the sandbox cannot be found`, {
    hint: "mount the cgroup file systems below /sys/fs/cgroup",
  });
}

/** Where the processes of a group, named from the root of its hierarchy, are frozen. */
export function freezerDirectory(mounts: CgroupMounts, group: string): CgroupDirectory {
  const v1 = directory(mounts.v1.get("freezer"), group);
  if (v1 !== undefined) return { version: 1, path: v1 };
  const v2 = directory(mounts.v2, group);
  if (v2 !== undefined) return { version: 2, path: v2 };
  throw new DomainError("failed_precondition", "sandboxes cannot be frozen: no freezer cgroup is mounted", {
    hint: "mount the cgroup file systems below /sys/fs/cgroup",
  });
}

function directory(mount: CgroupMount | undefined, path: string | undefined): string | undefined {
  if (mount === undefined || path === undefined) return undefined;
  const below = relative(mount.root, path);
  // A group outside of what is mounted is not to be seen here.
  return below.startsWith("..") ? undefined : join(mount.mountPoint, below);
}

/** Parses `key value` lines, as of memory.stat. */
export function parseKeyed(text: string): ReadonlyMap<string, bigint> {
  const found = new Map<string, bigint>();
  for (const line of text.split("\n")) {
    const match = /^(\S+) (\d+)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) found.set(match[1], BigInt(match[2]));
  }
  return found;
}

export function parseNumber(text: string): bigint {
  const trimmed = text.trim();
  if (!/^\d+$/.test(trimmed)) {
    throw new DomainError("internal", `unreadable cgroup value ${JSON.stringify(trimmed.slice(0, 40))}`);
  }
  return BigInt(trimmed);
}

/** Version 1 says "no limit" by the greatest number of whole pages; anything near it is none. */
const noLimit = 1n << 60n;

/** Undefined: no limit. */
export function parseLimit(text: string): number | undefined {
  if (text.trim() === "max") return undefined;
  const limit = parseNumber(text);
  return limit >= noLimit ? undefined : Number(limit);
}
