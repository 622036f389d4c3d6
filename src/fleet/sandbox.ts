/**
 * A sandbox as the registry knows it: whose it is, where it is, until when. What it does there is the node's part.
 */
import { DomainError } from "../lib/errors.js";
import type { NodeId } from "./node.js";
import type { TeamId } from "./team.js";

//  running ─▶ pausing ─▶ paused ─▶ resuming ─▶ running
//                │▲                  │ the restore failed: paused
//                ▼│ the dump failed
//             running
//  any ─▶ killing ─▶ (the record is gone)       any ─▶ lost ─▶ what the node says when it is back
export type OwnedState =
  | { readonly status: "running" }
  | { readonly status: "pausing" }
  /** `keepsMemory` false: the processes are gone, a resume starts anew from the files. */
  | { readonly status: "paused"; readonly keepsMemory: boolean }
  | { readonly status: "resuming"; readonly keepsMemory: boolean }
  | { readonly status: "killing" }
  /** Its node is lost. `wasPaused`: its memory is on that node's disk. */
  | { readonly status: "lost"; readonly lastSeenAt: Date; readonly wasPaused: boolean };

export type OwnedStatus = OwnedState["status"];

const next = {
  running: ["pausing", "paused", "killing", "lost"],
  pausing: ["paused", "running", "killing", "lost"],
  paused: ["resuming", "running", "killing", "lost"],
  resuming: ["running", "paused", "killing", "lost"],
  killing: ["lost"],
  lost: ["running", "paused", "killing"],
} as const satisfies Record<OwnedStatus, readonly OwnedStatus[]>;

export const isOwnedStatus = (text: string): text is OwnedStatus => Object.hasOwn(next, text);

/** Returns the new state, or throws `failed_precondition` when the move is not in the table. */
export function moveTo<S extends OwnedState>(from: OwnedState, to: S): S {
  const allowed: readonly OwnedStatus[] = next[from.status];
  if (!allowed.includes(to.status))
    throw new DomainError("failed_precondition", `the sandbox is ${from.status}, cannot become ${to.status}`);
  return to;
}

/** What happens when its time is up. */
export type OnTimeout =
  | { readonly kind: "kill" }
  | { readonly kind: "pause"; readonly keepsMemory: boolean; readonly resumesOnTraffic: boolean };

export interface OwnedSandbox {
  /** The agent's. */
  readonly id: string;
  readonly team: TeamId;
  readonly node: NodeId;
  /** Of the catalogue: id of the template or snapshot that it was made from. */
  readonly template: string;
  /** The name that was asked for, if it was one. */
  readonly alias?: string;
  readonly state: OwnedState;
  /** Whole milliseconds. */
  readonly startedAt: Date;
  /** While running, when its time is up; while paused, when it was paused. */
  readonly endAt: Date;
  /** What it was given when it was made; traffic that wakes it gives as much again. */
  readonly timeoutMs: number;
  readonly onTimeout: OnTimeout;
  readonly metadata: Readonly<Record<string, string>>;
  /** For envd; the same over pause and resume, another in each clone. */
  readonly accessToken?: string;
  /** For ports, where traffic to them is not public. */
  readonly trafficToken?: string;
  readonly allowInternetAccess: boolean;
  /** As given, checked at the edge; opaque here. */
  readonly network?: unknown;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** What a registry keeps in memory of each sandbox: a start reads it of all of them. */
export type SandboxOutline = Pick<
  OwnedSandbox,
  "id" | "team" | "node" | "template" | "endAt" | "cpus" | "memoryBytes" | "diskBytes"
> & { readonly state: Pick<OwnedState, "status"> };
