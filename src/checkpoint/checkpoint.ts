/**
 * A checkpoint is a sandbox's memory and filesystem at one instant: a directory on the node (CRIU images and
 * a manifest), one committed containerd snapshot, and a record. It is complete or it does not exist.
 */
import type { SandboxSpec } from "../sandbox/sandbox.js";

/** `user` is what people asked for; the others belong to a template, a paused sandbox or a fork in flight. */
export const checkpointKinds = ["user", "golden", "pause", "fork"] as const;
export type CheckpointKind = (typeof checkpointKinds)[number];

export interface Checkpoint {
  readonly id: string;
  readonly name?: string;
  readonly kind: CheckpointKind;
  /** Sandbox it was taken from. */
  readonly sandbox: string;
  /** Lineage: the sandbox's checkpoint before this one, else the one that the sandbox came from. */
  readonly parent?: string;
  /** Checkpoint whose committed layer is under this one's: it cannot go while this one stays. */
  readonly base?: string;
  readonly spec: SandboxSpec;
  readonly generation: number;
  /** Committed containerd snapshot; for kind `pause` the sandbox's own active snapshot. */
  readonly snapshotKey: string;
  /** Size of the memory that it holds itself. */
  readonly memoryBytes: number;
  /** Size of the memory files of earlier checkpoints that it builds on; they stay as long as it does. */
  readonly inheritedBytes: number;
  /** Size of the filesystem layer that this checkpoint added. */
  readonly layerBytes: number;
  readonly freezeMs: number;
  readonly createdAt: Date;
}

/** What stands on a checkpoint and keeps it from being removed. */
export interface Dependent {
  readonly kind: "sandbox" | "template" | "checkpoint";
  /** Of a template its name. */
  readonly id: string;
  readonly name?: string;
  /** Of a sandbox. */
  readonly status?: string;
}

/** One dependent in words, e.g. `sandbox a1b2 (running)`. */
export function describeDependent({ kind, id, name, status }: Dependent): string {
  return `${kind} ${name ?? id}${status === undefined ? "" : ` (${status})`}`;
}
