/** Keeping one clone of a fork: the search is over, the others are dropped. */
import { DomainError, isDomainError } from "../lib/errors.js";
import { settleLimited } from "../lib/limit.js";
import { waitUntil } from "../lib/signal.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import type { KeepOptions, Kept } from "./node.js";
import { deleteSandbox } from "./stop.js";

const forkMs = 600_000;

/** The name goes first, then those that are dropped: a call that was cut off is finished by the same call. */
export async function keepClone(
  deps: Deps,
  ref: string,
  { replaceSource }: KeepOptions,
  signal: AbortSignal,
): Promise<Kept> {
  const { store } = deps;
  const { id, origin } = store.sandboxes.find(ref);
  if (origin.kind !== "fork")
    throw new DomainError("failed_precondition", `cannot keep sandbox ${id}: it is no clone of a fork`, {
      hint: "`ramet inspect` tells what a sandbox was made from",
    });
  const fork = forkOf({ origin });
  const source = replaceSource ? store.sandboxes.peek(origin.source) : undefined;
  if (source?.name !== undefined) takeName(deps, source.id, id);
  await untilForked(deps, fork, signal);
  const dropped = store.sandboxes
    .list()
    .filter((other) => other.id !== id && (other.id === source?.id || forkOf(other) === fork))
    .map((other) => other.id);
  await dropAll(deps, dropped, signal);
  deps.record("sandbox.kept", { sandbox: id, attributes: { dropped: String(dropped.length) } });
  return { sandbox: store.sandboxes.get(id), dropped };
}

/** Clones that are still to come would stay. Their fork goes on, whether they are read or not. */
async function untilForked(
  { store }: Pick<Deps, "store">,
  fork: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const isForked = () => fork === undefined || !store.operations.holds("fork", fork);
  await waitUntil("the end of the fork", isForked, { intervalMs: 20, timeoutMs: forkMs }, signal);
}

const forkOf = ({ origin }: Pick<Sandbox, "origin">): string | undefined =>
  origin.kind === "fork" ? (origin.fork ?? origin.checkpoint) : undefined;

function takeName({ store }: Deps, from: SandboxId, to: SandboxId): void {
  store.transact((writer) => {
    const { name, ...nameless } = writer.sandboxes.get(from);
    if (name === undefined) return;
    writer.sandboxes.update(from, () => nameless);
    writer.sandboxes.update(to, (sandbox) => ({ ...sandbox, name }));
  });
}

/** Tries all of them before it throws for one. */
export async function dropAll(deps: Deps, ids: readonly SandboxId[], signal: AbortSignal): Promise<void> {
  const dropOne = (id: SandboxId) => drop(deps, id, signal);
  const drops = await settleLimited(ids, deps.forkParallelism, dropOne, signal);
  for (const result of drops) if (result.status === "rejected") throw result.reason;
}

async function drop(deps: Deps, id: SandboxId, signal: AbortSignal): Promise<void> {
  try {
    await deleteSandbox(deps, id, { force: true }, signal);
  } catch (thrown) {
    if (!isDomainError(thrown, "not_found")) throw thrown;
  }
}
