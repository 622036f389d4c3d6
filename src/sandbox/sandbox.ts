/**
 * A sandbox is one container made from a template, an image or a checkpoint. Its record is what the agent
 * acknowledged; what containerd runs is compared with it at every start.
 */
import { parseId } from "../lib/ids.js";
import type { SandboxState } from "./state.js";

declare const brand: unique symbol;
export type SandboxId = string & { readonly [brand]: "sandbox" };

/** Throws `invalid_argument` when `text` is no id. */
export function parseSandboxId(text: string): SandboxId {
  return parseId("sandbox", text) as SandboxId;
}

/** Limits that the sandbox's cgroup enforces. Absent means no limit of that kind. */
export interface Limits {
  /** CPU share of whole cores, e.g. 0.5. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
  /** Processes and threads. */
  readonly pids?: number;
}

/** What a sandbox is built from, kept so that its OCI spec can be made anew at every restore. */
export interface SandboxSpec {
  /** Image reference whose config gave env, user and working directory. */
  readonly image: string;
  /** Default environment of processes started in the sandbox. */
  readonly env: Readonly<Record<string, string>>;
  /** Default user of processes: name or `uid[:gid]`, resolved inside the sandbox. */
  readonly user: string;
  readonly cwd: string;
  readonly limits: Limits;
  /** False keeps no-new-privileges on; true lets a setuid `sudo` work. */
  readonly allowPrivilegeEscalation: boolean;
  /** Basename of the guest binary's versioned directory that PID 1 was started from. */
  readonly guestVersion: string;
  /**
   * What processes read as /proc/sys/kernel/random/boot_id: new for each start from files, and kept by what is
   * restored. Absent: the host's.
   */
  readonly bootId?: string;
}

/** Where a sandbox came from; `checkpoint` also names the fork's or restore's parent. */
export type Origin =
  | { readonly kind: "image"; readonly image: string }
  | { readonly kind: "template"; readonly template: string; readonly checkpoint: string }
  | { readonly kind: "checkpoint"; readonly checkpoint: string }
  | {
      readonly kind: "fork";
      readonly source: SandboxId;
      /** Whose layer is underneath: the fork's, or one that the clone was rolled back to since. */
      readonly checkpoint: string;
      /** The fork's checkpoint, where that is another by now. */
      readonly fork?: string;
    };

export interface Sandbox {
  readonly id: SandboxId;
  /** Optional human name, unique among the node's sandboxes. */
  readonly name?: string;
  readonly spec: SandboxSpec;
  readonly origin: Origin;
  readonly labels: Readonly<Record<string, string>>;
  /** Counts restores of this memory lineage; readable inside, so that programs notice a fork. */
  readonly generation: number;
  /** Key of the containerd snapshot that is the sandbox's writable layer. */
  readonly snapshotKey: string;
  /** Checkpoint that its memory was last at: taken of it, or rolled back to. Default: its origin's. */
  readonly parent?: string;
  readonly createdAt: Date;
  /** A warm slot: restored from its template, standing still, and nobody's until it is claimed. */
  readonly isSlot: boolean;
  readonly state: SandboxState;
}
