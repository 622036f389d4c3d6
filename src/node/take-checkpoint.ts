/** Taking a checkpoint of a running sandbox that runs on. */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openScope } from "../lib/scope.js";
import { settleAll } from "../lib/settle.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { discardCheckpointFiles, finishCheckpointFiles, sealImages } from "./checkpoint-files.js";
import type { Deps } from "./deps.js";
import { type Dump, dump } from "./dump.js";
import { checkpointLayer, commitLayer, copyUpper, prepareLayerCopy, removeLayerCopy } from "./layer.js";
import { journaled, moveTo, requireRunning } from "./record.js";
import { shareMemory } from "./shared-memory.js";

export async function takeCheckpoint(
  deps: Deps,
  ref: string,
  { name }: { readonly name?: string },
  signal: AbortSignal,
): Promise<Checkpoint> {
  const { id } = deps.store.sandboxes.find(ref);
  return deps.queue.run(
    id,
    async () => {
      checkNameFree(deps, name);
      const taken = await copySandbox(
        deps,
        id,
        { kind: "user", ...(name === undefined ? {} : { name }) },
        signal,
      );
      deps.record("checkpoint.created", { sandbox: id, attributes: { checkpoint: taken.id } });
      return taken;
    },
    signal,
  );
}

/** Before the sandbox stands still for nothing; the store still has the last word. */
function checkNameFree({ store }: Pick<Deps, "store">, name: string | undefined): void {
  if (name !== undefined && store.checkpoints.isNameTaken(name))
    throw new DomainError("already_exists", `a checkpoint is called ${name} already`, {
      hint: "see `ramet checkpoint ls`",
    });
}

export interface CopyOptions {
  readonly kind: "user" | "fork";
  readonly name?: string;
}

/** Dumps and copies a running sandbox, records the checkpoint. Runs in the sandbox's line. */
export async function copySandbox(
  deps: Deps,
  id: SandboxId,
  options: CopyOptions,
  signal: AbortSignal,
): Promise<Checkpoint> {
  const sandbox = deps.store.sandboxes.get(id);
  const live = requireRunning(sandbox, options.kind === "fork" ? "fork" : "take a checkpoint of");
  const checkpoint = randomId();
  return journaled(deps, { kind: "checkpoint", sandbox: id, checkpoint }, async () => {
    await using undo = openScope();
    const { pid, pidStart } = live;
    const backToRunning = () => {
      const { state } = deps.store.sandboxes.get(id);
      if (state.status === "checkpointing")
        moveTo(deps, id, { status: "running", since: state.since, pid, pidStart });
    };
    moveTo(deps, id, { status: "checkpointing", since: deps.now(), pid, pidStart });
    try {
      const layer = copyLayer(deps, { sandbox, checkpoint, options }, signal);
      undo.defer(layer.remove);
      const { beside } = layer;
      const readAhead = options.kind !== "fork";
      const dumped = await dump(deps, sandbox, { checkpoint, beside, readAhead, stayFrozen: false }, signal);
      undo.defer(() => discardCheckpointFiles(deps, checkpoint));
      undo.defer(() => dumped.opened.catch(() => {}));
      const whole = await finish(
        deps,
        { sandbox, checkpoint, dumped, layer: layer.committed(), options },
        signal,
      );
      undo.move();
      return whole;
    } finally {
      backToRunning();
    }
  });
}

interface Copying {
  readonly sandbox: Sandbox;
  readonly checkpoint: string;
  readonly options: CopyOptions;
}

/** The checkpoint's layer: copied while the sandbox stands still, committed without keeping it from running on. */
function copyLayer(deps: Deps, { sandbox, checkpoint, options }: Copying, signal: AbortSignal) {
  const sandboxKey = sandbox.snapshotKey;
  let committing: ReturnType<typeof commitLayer> | undefined;
  return {
    async beside(): Promise<void> {
      const copy = await prepareLayerCopy(deps, { checkpoint, sandboxKey }, signal);
      await copyUpper(deps, copy);
      committing = commitLayer(deps, { copy, checkpoint, durable: options.kind !== "fork" }, signal);
      committing.catch(() => {});
    },
    /** Once the dump has ended well. */
    committed: () => committing ?? Promise.reject(new DomainError("internal", "the layer was not copied")),
    async remove(): Promise<void> {
      await committing?.catch(() => {});
      await removeLayerCopy(deps, checkpoint);
      await deps.containerd.snapshots.remove(checkpointLayer(checkpoint));
    },
  };
}

interface Finishing extends Copying {
  readonly dumped: Dump;
  readonly layer: ReturnType<typeof commitLayer>;
}

/** From here the sandbox runs; layer and files side by side, then the record. */
async function finish(
  deps: Deps,
  { sandbox, checkpoint: id, dumped, layer: committing, options }: Finishing,
  signal: AbortSignal,
): Promise<Checkpoint> {
  const { kind } = options;
  const { begun, freezeMs, opened } = dumped;
  const memory = await shareMemory(deps, { sandbox: sandbox.id, checkpoint: id, move: true }, signal);
  const sealing = sealImages(deps, { id, kind, begun }, signal);
  const [layer, images] = await settleAll(committing, sealing, opened);
  const lineage = lineageOf(sandbox);
  await finishCheckpointFiles(
    deps,
    { id, kind, sandbox, layerBytes: layer.sizeBytes, memory, ...lineage },
    images,
  );
  deps.failpoint("checkpoint.durable");
  // Its parent may have been removed since.
  const now = lineageOf(deps.store.sandboxes.get(sandbox.id));
  const checkpoint: Checkpoint = {
    id,
    kind,
    sandbox: sandbox.id,
    spec: sandbox.spec,
    generation: sandbox.generation,
    snapshotKey: layer.key,
    ...memory,
    layerBytes: layer.sizeBytes,
    freezeMs,
    createdAt: deps.now(),
    ...now,
    ...(options.name === undefined ? {} : { name: options.name }),
  };
  // A fork's is gone after a power cut, and so is who it was made for.
  if (kind === "fork") deps.store.checkpoints.insert(checkpoint);
  else
    deps.store.transact((store) => {
      store.checkpoints.insert(checkpoint);
      store.sandboxes.update(sandbox.id, (current) => ({ ...current, parent: id }));
    });
  return checkpoint;
}

/** Parent: what its memory was last at, else its origin. Base: the origin, whose layer is underneath. */
export function lineageOf(sandbox: Sandbox): Pick<Checkpoint, "parent" | "base"> {
  const { origin } = sandbox;
  const base = "checkpoint" in origin ? origin.checkpoint : undefined;
  const parent = sandbox.parent ?? base;
  return { ...(parent === undefined ? {} : { parent }), ...(base === undefined ? {} : { base }) };
}
