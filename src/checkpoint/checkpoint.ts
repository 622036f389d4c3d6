/**
 * A checkpoint is a sandbox's memory and filesystem at one instant: a directory on the node (CRIU images and
 * a manifest), one committed containerd snapshot, and a record. It is complete or it does not exist.
 */
import type { SandboxSpec } from "../sandbox/sandbox.js";

/** `user` is what people asked for; the others belong to a template, a paused sandbox or a fork in flight. */
export type CheckpointKind = "user" | "golden" | "pause" | "fork";

export interface Checkpoint {
  readonly id: string;
  readonly name?: string;
  readonly kind: CheckpointKind;
  /** Sandbox it was taken from. */
  readonly sandbox: string;
  /** Checkpoint that the sandbox itself came from, if any. */
  readonly parent?: string;
  readonly spec: SandboxSpec;
  readonly generation: number;
  /** Committed containerd snapshot; for kind `pause` the sandbox's own active snapshot. */
  readonly snapshotKey: string;
  readonly memoryBytes: number;
  /** Size of the filesystem layer that this checkpoint added. */
  readonly layerBytes: number;
  readonly freezeMs: number;
  readonly createdAt: Date;
}
