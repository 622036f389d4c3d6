/** The kernel, its control groups, user namespaces and idmapped mounts. */
import { release } from "node:os";
import { type CgroupMounts, cgroupLayout, parseCgroupMounts } from "../node/cgroup.js";
import { hostLimits, raised } from "../node/host-limits.js";
import { failure, type Judgement, ok, warning } from "./finding.js";
import type { Host } from "./host.js";
import { isAtLeast } from "./version.js";

export async function checkKernel(): Promise<Judgement> {
  return judgeKernel(release());
}

export function judgeKernel(version: string): Judgement {
  // clone3 with set_tid, pidfd and time namespaces are what CRIU 4 leans on; idmapped overlayfs is judged apart.
  if (isAtLeast(version, "5.9")) return ok(version);
  return failure(`${version} is too old for CRIU`, "boot a kernel of 5.19 or later");
}

/** Idmapped mounts need a system call that no installed tool makes on Debian 12: the version decides. */
export async function checkIdmappedMounts(): Promise<Judgement> {
  return judgeIdmappedMounts(release());
}

export function judgeIdmappedMounts(version: string): Judgement {
  // Idmapped mounts came with Linux 5.12; overlayfs takes idmapped layers since 5.19.
  if (isAtLeast(version, "5.19")) return ok("overlayfs takes them, by the kernel's version (not tried)");
  return failure(`not for overlayfs on Linux ${version}`, "boot a kernel of 5.19 or later");
}

const controllersNeeded = ["memory", "cpu", "pids", "freezer"] as const;

export async function checkCgroups(host: Host): Promise<Judgement> {
  const mounts = parseCgroupMounts((await host.read("/proc/self/mountinfo")) ?? "");
  const mountPoint = mounts.v2?.mountPoint ?? "/sys/fs/cgroup";
  const v2Controllers = (await host.read(`${mountPoint}/cgroup.controllers`)) ?? "";
  return judgeCgroups(mounts, v2Controllers.split(/\s+/));
}

export function judgeCgroups(mounts: CgroupMounts, v2Controllers: readonly string[]): Judgement {
  if (mounts.v1.size === 0 && mounts.v2 === undefined) {
    return failure("no control groups are mounted", "mount cgroup2 on /sys/fs/cgroup");
  }
  const layout = cgroupLayout(mounts);
  // In version 2 the freezer is part of every group and no controller.
  const has = (name: string) =>
    mounts.v1.has(name) || (layout === "v2" && (name === "freezer" || v2Controllers.includes(name)));
  const missing = controllersNeeded.filter((name) => !has(name));
  if (missing.length === 0) return ok(`${layout}, with ${controllersNeeded.join(", ")}`);
  return failure(
    `${layout}, without ${missing.join(", ")}`,
    "enable these controllers at boot, or mount them",
  );
}

export async function checkHostLimits(host: Host): Promise<Judgement> {
  const values = await Promise.all(hostLimits.map(({ path }) => host.read(`/proc/sys/${path}`)));
  return judgeHostLimits(values.map((text) => Number(text)));
}

/** `values` as in `hostLimits`. */
export function judgeHostLimits(values: readonly number[]): Judgement {
  const low = hostLimits.flatMap((limit, index) => {
    const to = raised(limit, values[index] ?? 0);
    return to === undefined ? [] : [{ name: limit.path.replaceAll("/", "."), to }];
  });
  if (low.length === 0) return ok("high enough for many sandboxes");
  return warning(
    `low for many sandboxes: ${low.map(({ name }) => name).join(", ")}`,
    `the agent raises them when it starts; or: sysctl ${low.map(({ name, to }) => `${name}=${to}`).join(" ")}`,
  );
}

export async function checkConnectionTracking(host: Host): Promise<Judgement> {
  const buckets = await host.read("/proc/sys/net/netfilter/nf_conntrack_buckets");
  return judgeConnectionTracking(buckets === undefined ? 0 : Number(buckets));
}

/**
 * CRIU 4.2 reads the tracked connections twice in every dump (criu/net.c, dump_nf_ct), also where no network is dumped.
 * The kernel goes through the table of the whole machine for that, some 50 ns for each bucket, full or not.
 */
const bucketsFew = 65_536;
const bucketNs = 50;

export function judgeConnectionTracking(buckets: number): Judgement {
  if (buckets <= bucketsFew)
    return ok(buckets === 0 ? "there is none" : `a table of ${buckets}, quickly looked through`);
  const ms = Math.round((2 * buckets * bucketNs) / 1_000_000);
  return warning(
    `a table of ${buckets}: CRIU looks through it twice, a sandbox stands still some ${ms} ms longer in each dump`,
    "where the machine itself has few connections: sysctl net.netfilter.nf_conntrack_buckets=16384",
  );
}

export async function checkUserNamespaces(host: Host): Promise<Judgement> {
  const limit = await host.read("/proc/sys/user/max_user_namespaces");
  const { exitCode, complaint } = await host.run("unshare", ["--user", "--map-root-user", "true"]);
  return judgeUserNamespaces(Number(limit ?? "0"), exitCode === 0 ? undefined : complaint);
}

export function judgeUserNamespaces(max: number, complaint: string | undefined): Judgement {
  if (max < 1) {
    return failure("user.max_user_namespaces is 0", "sysctl user.max_user_namespaces=65536");
  }
  if (complaint !== undefined) {
    return failure(
      `none can be made: ${complaint}`,
      "allow user namespaces (outer container, AppArmor, seccomp)",
    );
  }
  return ok(`at most ${max}, one was made`);
}
