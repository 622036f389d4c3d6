/** The node itself: versions, counts, room. */
import { readFile, statfs } from "node:fs/promises";
import { release } from "node:os";
import type { Containerd } from "../containerd/client.js";
import type { SandboxStatus } from "../sandbox/state.js";
import type { SandboxReader } from "../store/sandboxes.js";
import { cgroupLayout, parseCgroupMounts } from "./cgroup.js";
import type { NodeInfo } from "./node.js";

export interface InfoDeps {
  readonly store: { readonly sandboxes: Pick<SandboxReader, "list"> };
  readonly containerd: Pick<Containerd, "version">;
  readonly settings: { readonly host: { readonly criuVersion: string; readonly runcVersion: string } };
  /** Of the agent. */
  readonly version: string;
  readonly dataDir: string;
}

export async function readInfo(deps: InfoDeps, signal: AbortSignal): Promise<NodeInfo> {
  const { store, containerd, settings, version, dataDir } = deps;
  const count = (statuses: readonly SandboxStatus[]) => store.sandboxes.list({ statuses }).length;
  const [{ version: containerdVersion }, room, mounts] = await Promise.all([
    containerd.version(signal),
    statfs(dataDir),
    readFile("/proc/self/mountinfo", "utf8"),
  ]);
  return {
    version,
    containerdVersion,
    runcVersion: settings.host.runcVersion,
    criuVersion: settings.host.criuVersion,
    kernel: release(),
    cgroups: cgroupLayout(parseCgroupMounts(mounts)),
    sandboxesRunning: count(["running", "checkpointing", "pausing"]),
    sandboxesPaused: count(["paused"]),
    diskFreeBytes: room.bavail * room.bsize,
    agentPid: process.pid,
  };
}
