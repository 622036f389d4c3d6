/** The node itself: versions, counts, room. */
import { statfs } from "node:fs/promises";
import { release } from "node:os";
import type { Containerd } from "../containerd/client.js";
import type { SandboxReader } from "../store/sandboxes.js";
import { type CgroupMounts, cgroupLayout } from "./cgroup.js";
import type { NodeInfo } from "./node.js";

export interface InfoDeps {
  readonly store: { readonly sandboxes: Pick<SandboxReader, "count"> };
  readonly containerd: Pick<Containerd, "version">;
  readonly cgroups: CgroupMounts;
  readonly settings: { readonly host: { readonly criuVersion: string; readonly runcVersion: string } };
  /** Of the agent. */
  readonly version: string;
  readonly dataDir: string;
}

export async function readInfo(deps: InfoDeps, signal: AbortSignal): Promise<NodeInfo> {
  const { store, containerd, cgroups, settings, version, dataDir } = deps;
  const [{ version: containerdVersion }, room] = await Promise.all([
    containerd.version(signal),
    statfs(dataDir),
  ]);
  return {
    version,
    containerdVersion,
    runcVersion: settings.host.runcVersion,
    criuVersion: settings.host.criuVersion,
    kernel: release(),
    cgroups: cgroupLayout(cgroups),
    sandboxesRunning: store.sandboxes.count(["running", "checkpointing", "pausing"]),
    sandboxesPaused: store.sandboxes.count(["paused"]),
    diskFreeBytes: room.bavail * room.bsize,
    agentPid: process.pid,
  };
}
