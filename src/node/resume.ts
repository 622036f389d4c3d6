/** Resume brings a paused sandbox back under the same id and layer: with its memory, or started anew from its files. */
import { randomUUID } from "node:crypto";
import { isDomainError } from "../lib/errors.js";
import { openScope } from "../lib/scope.js";
import { settleAll } from "../lib/settle.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { memoryIn, transition } from "../sandbox/state.js";
import { checkRestorable, discardCheckpointFiles } from "./checkpoint-files.js";
import { type Launch, type LiveProcess, launch } from "./container.js";
import type { Deps } from "./deps.js";
import { removeContainer } from "./end-container.js";
import { giveIdentity } from "./identity.js";
import { journaled, moveTo, stateError } from "./record.js";

export interface ResumeOptions {
  /** False: started anew from its files, whatever its pause kept. */
  readonly memory: boolean;
}

export async function resumeSandbox(
  deps: Deps,
  ref: string,
  options: ResumeOptions,
  signal: AbortSignal,
): Promise<Sandbox> {
  const { id } = deps.store.sandboxes.find(ref);
  return deps.queue.run(id, () => resume(deps, id, options, signal), signal);
}

/** In the sandbox's line. */
export async function resume(
  deps: Deps,
  id: SandboxId,
  { memory }: ResumeOptions,
  signal: AbortSignal,
): Promise<Sandbox> {
  const paused = deps.store.sandboxes.get(id);
  const { state } = paused;
  if (state.status !== "paused") throw stateError(paused, "resume", "paused");
  const kept = memoryIn(state.checkpoint);
  const restored = memory ? state.checkpoint : undefined;
  return journaled(deps, { kind: "resume", sandbox: id, ...kept }, async () => {
    await using undo = openScope();
    const sandbox = recordResuming(deps, paused, { kept, restored });
    undo.defer(() => moveTo(deps, id, { status: "paused", since: state.since, ...kept }));
    deps.failpoint("resume.recorded");
    const rootfs = async (linked: AbortSignal) => {
      const [, mounts] = await settleAll(
        restored === undefined
          ? undefined
          : checkRestorable(deps, deps.store.checkpoints.get(restored), linked),
        deps.containerd.snapshots.mounts(sandbox.snapshotKey, linked),
      );
      return mounts;
    };
    const source = restored === undefined ? {} : { checkpointDir: deps.paths.checkpoint(restored) };
    const live = await launchAnew(deps, { sandbox, rootfs, ...source }, signal);
    undo.move();
    deps.failpoint("resume.started");
    return completeResume(deps, sandbox, { ...live, ...kept });
  });
}

/** What a pause or a rollback could not clear away, as when containerd was gone, is in the way. */
async function launchAnew(deps: Deps, made: Launch, signal: AbortSignal): Promise<LiveProcess> {
  try {
    return await launch(deps, made, signal);
  } catch (thrown) {
    if (!isDomainError(thrown, "already_exists")) throw thrown;
    await removeContainer(deps, made.sandbox.id);
    return launch(deps, made, signal);
  }
}

type Kept = ReturnType<typeof memoryIn>;

/** What is restored is of the boot that it was dumped in, which a rollback may have gone back to. */
function recordResuming(
  deps: Deps,
  { id }: Sandbox,
  { kept, restored }: { readonly kept: Kept; readonly restored: string | undefined },
): Sandbox {
  const bootId = restored === undefined ? randomUUID() : deps.store.checkpoints.get(restored).spec.bootId;
  return deps.store.sandboxes.update(id, (current) => {
    const { bootId: _, ...spec } = current.spec;
    return {
      ...current,
      spec: bootId === undefined ? spec : { ...spec, bootId },
      state: transition(current.state, { status: "resuming", since: deps.now(), ...kept }),
    };
  });
}

/** The processes run again: from here there is no way back, only forward, also after a crash of the agent. */
export async function completeResume(
  deps: Deps,
  sandbox: Sandbox,
  { pid, pidStart, checkpoint }: LiveProcess & { readonly checkpoint?: string },
): Promise<Sandbox> {
  // Read inside, it tells a program that time has passed without it, or that it has been here before.
  const generation = sandbox.generation + 1;
  await giveIdentity(deps, { ...sandbox, generation }, AbortSignal.timeout(30_000));
  const own = ownMemory(deps, checkpoint);
  const running = await deps.store.soon((store) => {
    const next = { status: "running", since: deps.now(), pid, pidStart } as const;
    const moved = store.sandboxes.update(sandbox.id, (current) => ({
      ...current,
      generation,
      state: transition(current.state, next),
    }));
    if (own !== undefined) store.checkpoints.delete(own);
    return moved;
  });
  deps.failpoint("resume.committed");
  deps.record("sandbox.resumed", { sandbox: sandbox.id });
  if (own === undefined) return running;
  // Large ones take a while. What a crash leaves of it has no record, and goes at the next start.
  discardCheckpointFiles(deps, own).catch((err: unknown) =>
    deps.log.warn({ err, checkpoint: own }, "the files of a resumed checkpoint stay for now"),
  );
  return running;
}

/** The memory of its own pause. A checkpoint that was rolled back to is there for others too. */
export function ownMemory(
  { store }: Pick<Deps, "store">,
  checkpoint: string | undefined,
): string | undefined {
  if (checkpoint === undefined) return undefined;
  return store.checkpoints.get(checkpoint).kind === "pause" ? checkpoint : undefined;
}
