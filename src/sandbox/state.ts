/** The lifecycle of a sandbox: one tagged union, one table of moves. */
import { DomainError } from "../lib/errors.js";

//  creating ─▶ running ─▶ pausing ─▶ paused ─▶ resuming ─▶ running
//                │  ▲        │          ▲          │
//                │  │◀───────┘          └──────────┘ restore failed
//                │  └─ checkpointing (checkpoint, fork: running ▶ checkpointing ▶ running)
//                └─ rolled back: running ─▶ paused, at a checkpoint that was taken before
//  running, paused ─▶ stopping ─▶ stopped      anything in motion ─▶ failed(reason)
export type SandboxState =
  | { readonly status: "creating"; readonly since: Date }
  | { readonly status: "running"; readonly since: Date; readonly pid: number; readonly pidStart: string }
  | {
      readonly status: "checkpointing";
      readonly since: Date;
      readonly pid: number;
      readonly pidStart: string;
    }
  | { readonly status: "pausing"; readonly since: Date; readonly pid: number; readonly pidStart: string }
  /** Without a checkpoint, its files alone were kept, and a resume starts it anew. */
  | { readonly status: "paused"; readonly since: Date; readonly checkpoint?: string }
  | { readonly status: "resuming"; readonly since: Date; readonly checkpoint?: string }
  | { readonly status: "stopping"; readonly since: Date }
  | { readonly status: "stopped"; readonly since: Date; readonly exitCode: number }
  | { readonly status: "failed"; readonly since: Date; readonly reason: string };

/** The part of a paused or resuming state that says where its memory is, if it has any. */
export const memoryIn = (checkpoint: string | undefined) => (checkpoint === undefined ? {} : { checkpoint });

export type SandboxStatus = SandboxState["status"];

export const sandboxStatuses = [
  "creating",
  "running",
  "checkpointing",
  "pausing",
  "paused",
  "resuming",
  "stopping",
  "stopped",
  "failed",
] as const satisfies readonly SandboxStatus[];

const next = {
  creating: ["running", "failed", "stopping"],
  running: ["checkpointing", "pausing", "paused", "stopping", "stopped", "failed"],
  checkpointing: ["running", "stopping", "stopped", "failed"],
  pausing: ["paused", "running", "stopped", "failed"],
  paused: ["resuming", "stopping", "failed"],
  resuming: ["running", "paused", "failed"],
  stopping: ["stopped", "failed"],
  stopped: [],
  failed: [],
} as const satisfies Record<SandboxStatus, readonly SandboxStatus[]>;

export function mayBecome(from: SandboxStatus, to: SandboxStatus): boolean {
  const allowed: readonly SandboxStatus[] = next[from];
  return allowed.includes(to);
}

/** Returns the new state, or throws `failed_precondition` when the move is not in the table. */
export function transition<S extends SandboxState>(from: SandboxState, to: S): S {
  if (!mayBecome(from.status, to.status)) {
    throw new DomainError("failed_precondition", `sandbox is ${from.status}, cannot become ${to.status}`);
  }
  return to;
}
