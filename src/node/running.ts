/** From what a caller names to a sandbox whose guest can be talked to. */
import type { Sandbox } from "../sandbox/sandbox.js";
import type { SandboxState } from "../sandbox/state.js";
import type { SandboxReader } from "../store/sandboxes.js";
import { stateError } from "./record.js";

/** The states in which processes exist; in all but the first the gate may make callers wait. */
type LiveState = Extract<SandboxState, { readonly pid: number }>;
export type LiveSandbox = Omit<Sandbox, "state"> & { readonly state: LiveState };

export interface SandboxFinder {
  readonly store: { readonly sandboxes: Pick<SandboxReader, "find"> };
}

/** Throws `not_found`, `invalid_argument` for an ambiguous prefix, `failed_precondition` naming the state. */
export function findLive({ store }: SandboxFinder, ref: string, verb: string): LiveSandbox {
  const sandbox = store.sandboxes.find(ref);
  if (isLive(sandbox)) return sandbox;
  throw stateError(sandbox, verb, "running");
}

function isLive(sandbox: Sandbox): sandbox is LiveSandbox {
  return "pid" in sandbox.state;
}
