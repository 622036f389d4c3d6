/** Small moves on records that many verbs make: into a state, into the journal and out of it. */
import { DomainError, toDomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import type { Operation } from "../sandbox/operation.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { type SandboxState, type SandboxStatus, transition } from "../sandbox/state.js";
import type { LiveProcess } from "./container.js";
import type { Deps } from "./deps.js";

/** Moves the recorded sandbox; throws `failed_precondition` when the table of moves has no such move. */
export function moveTo({ store }: Pick<Deps, "store">, id: SandboxId, state: SandboxState): Sandbox {
  return store.sandboxes.update(id, (sandbox) => ({ ...sandbox, state: transition(sandbox.state, state) }));
}

/** The live process of a sandbox that runs; else `failed_precondition` in the words of `verb`. */
export function requireRunning(sandbox: Sandbox, verb: string): LiveProcess {
  if (sandbox.state.status === "running") return sandbox.state;
  throw stateError(sandbox, verb, "running");
}

export function stateError(sandbox: Sandbox, verb: string, wanted: SandboxStatus): DomainError {
  const { id, state } = sandbox;
  const why = state.status === "failed" ? ` (${state.reason})` : "";
  return new DomainError(
    "failed_precondition",
    `cannot ${verb} sandbox ${id}: it is ${state.status}${why}, not ${wanted}`,
    hintFor(state),
  );
}

function hintFor(state: SandboxState): { hint: string } | Record<string, never> {
  if (state.status === "paused") return { hint: "`ramet resume` brings it back" };
  if (state.status === "stopped" || state.status === "failed")
    return { hint: "its files are there: `ramet commit`; `ramet rm` forgets it" };
  return {};
}

/** Writes the intent down, does the work, and forgets the intent once the work is done or undone. */
export async function journaled<T>(
  { store, now }: Pick<Deps, "store" | "now">,
  operation: Omit<Operation, "id" | "startedAt" | "step" | "args"> & Partial<Pick<Operation, "args">>,
  work: () => Promise<T>,
): Promise<T> {
  const id = randomId();
  store.operations.insert({ id, step: "started", startedAt: now(), args: {}, ...operation });
  try {
    return await work();
  } finally {
    store.operations.delete(id);
  }
}

/** For the reason of a failed sandbox: one line. */
export function reasonOf(thrown: unknown): string {
  const { message, hint } = toDomainError(thrown);
  return hint === undefined ? message : `${message} (${hint})`;
}
