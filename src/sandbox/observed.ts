/** What a start finds in containerd and on disk. */

export interface ObservedTask {
  /** Of its container, which is its sandbox's. */
  readonly id: string;
  readonly status: "created" | "running" | "paused" | "pausing" | "stopped" | "unknown";
  readonly pid: number;
  /** Start time of the live process that has this pid; absent when there is none. */
  readonly pidStart?: string;
  /** Of a stopped task. */
  readonly exitCode: number;
}

export interface ObservedContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ObservedSnapshot {
  readonly key: string;
  /** Empty at the bottom of a chain. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Observed {
  readonly containers: readonly ObservedContainer[];
  readonly tasks: readonly ObservedTask[];
  readonly snapshots: readonly ObservedSnapshot[];
  /** Names of the entries in the sandboxes' directory. */
  readonly sandboxDirs: readonly string[];
  /** Names of the entries in the checkpoints' directory. */
  readonly checkpointDirs: readonly string[];
}

/** Things with such a label in containerd are the agent's; all others are never touched. */
export const ownLabelPrefix = "ramet.";

/** On the shims that sandboxes share, which look after themselves (node/shims.ts). */
export const shimLabel = "ramet.shim";

export function isOurs({ labels }: { readonly labels: Readonly<Record<string, string>> }): boolean {
  return Object.keys(labels).some((label) => label.startsWith(ownLabelPrefix));
}
