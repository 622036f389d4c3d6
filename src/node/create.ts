/** Creating a sandbox: from a template's golden checkpoint, from any checkpoint, or cold from an image. */
import { randomUUID } from "node:crypto";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openScope } from "../lib/scope.js";
import { settleAll } from "../lib/settle.js";
import type { Limits, Origin, Sandbox, SandboxId, SandboxSpec } from "../sandbox/sandbox.js";
import { checkRestorable } from "./checkpoint-files.js";
import { claimSlot } from "./claim-slot.js";
import { launch } from "./container.js";
import type { Deps } from "./deps.js";
import { removeContainer } from "./end-container.js";
import { giveIdentity } from "./identity.js";
import { prepareSandboxLayer, sandboxLayer } from "./layer.js";
import type { Created, CreateOptions, Env } from "./node.js";
import { journaled, moveTo } from "./record.js";
import type { Slots } from "./slots.js";

/** Everything that decides what a new sandbox is; `checkpoint` is restored, its absence is a cold start. */
export interface NewSandbox {
  readonly id: SandboxId;
  readonly name?: string;
  readonly spec: SandboxSpec;
  readonly origin: Origin;
  readonly labels: Env;
  readonly generation: number;
  readonly parentSnapshot: string;
  readonly checkpoint?: string;
  readonly isSlot: boolean;
}

export async function createSandbox(
  deps: Deps,
  slots: Slots,
  options: CreateOptions,
  signal: AbortSignal,
): Promise<Created> {
  const claimed = await claimSlot(deps, slots, options, signal);
  if (claimed !== undefined) return { ...claimed, isWarm: true };
  const planned = await planSandbox(deps, options, signal);
  const made = await deps.queue.run(planned.id, () => makeSandbox(deps, planned, signal), signal);
  return { ...made, isWarm: false };
}

/** Records, launches, identifies. A failure leaves neither record nor anything else. */
export async function makeSandbox(deps: Deps, planned: NewSandbox, signal: AbortSignal): Promise<Sandbox> {
  const { store, failpoint } = deps;
  const { parentSnapshot, checkpoint, ...facts } = planned;
  const createdAt = deps.now();
  const sandbox: Sandbox = {
    ...facts,
    snapshotKey: sandboxLayer(planned.id),
    createdAt,
    state: { status: "creating", since: createdAt },
  };
  const operation = {
    kind: "create",
    sandbox: sandbox.id,
    ...(checkpoint === undefined ? {} : { checkpoint }),
  } as const;
  return journaled(deps, operation, async () => {
    await using undo = openScope();
    // Its removal may have come first; from here the new record keeps it.
    if (checkpoint !== undefined) store.checkpoints.get(checkpoint);
    store.sandboxes.insert(sandbox);
    undo.defer(() => store.sandboxes.delete(sandbox.id));
    failpoint("create.recorded");
    undo.defer(() => deps.containerd.snapshots.remove(sandbox.snapshotKey));
    const rootfs = async (linked: AbortSignal) => {
      const [, mounts] = await settleAll(
        verify(deps, sandbox, linked),
        prepareSandboxLayer(
          deps,
          { id: sandbox.id, key: sandbox.snapshotKey, parent: parentSnapshot },
          linked,
        ),
      );
      failpoint("create.prepared");
      return mounts;
    };
    const source = checkpoint === undefined ? {} : { checkpointDir: deps.paths.checkpoint(checkpoint) };
    const live = await launch(deps, { sandbox, rootfs, ...source }, signal);
    undo.defer(() => removeContainer(deps, sandbox.id));
    failpoint("create.started");
    await giveIdentity(deps, sandbox, signal);
    const state = { status: "running", since: deps.now(), ...live } as const;
    const running = await store.soon(() => moveTo(deps, sandbox.id, state));
    undo.move();
    if (!sandbox.isSlot)
      deps.record("sandbox.created", { sandbox: sandbox.id, attributes: { origin: sandbox.origin.kind } });
    failpoint("create.done");
    return running;
  });
}

/** A fork's checkpoint was made a moment ago, and has nothing to compare it with. */
async function verify(deps: Deps, { origin }: Sandbox, signal: AbortSignal): Promise<void> {
  if (origin.kind === "template" || origin.kind === "checkpoint")
    await checkRestorable(deps, deps.store.checkpoints.get(origin.checkpoint), signal);
}

async function planSandbox(deps: Deps, options: CreateOptions, signal: AbortSignal): Promise<NewSandbox> {
  const { source, name, labels, env } = options;
  const id = randomId() as SandboxId;
  const common = { id, labels, isSlot: false, ...(name === undefined ? {} : { name }) };
  if (source.kind === "image") {
    const { image, topSnapshot } = await deps.containerd.images.resolve(source.image, signal);
    const spec = coldSpec(deps, { ...source, image: image.name, config: image.config, env });
    return {
      ...common,
      spec,
      origin: { kind: "image", image: image.name },
      generation: 1,
      parentSnapshot: topSnapshot,
    };
  }
  if (source.kind === "template")
    return { ...common, ...planTemplate(deps, { template: source.template, env }) };
  const { id: checkpoint } = deps.store.checkpoints.find(source.checkpoint);
  return { ...common, ...planRestore(deps, { checkpoint, env }), origin: { kind: "checkpoint", checkpoint } };
}

type FromCheckpoint = Pick<NewSandbox, "spec" | "generation" | "parentSnapshot"> & {
  readonly checkpoint: string;
};

/** The part of a plan that comes from a template that is ready. */
export function planTemplate(
  deps: Deps,
  { template, env }: { readonly template: string; readonly env: Env },
): FromCheckpoint & Pick<NewSandbox, "origin"> {
  const checkpoint = goldenOf(deps, template);
  return { ...planRestore(deps, { checkpoint, env }), origin: { kind: "template", template, checkpoint } };
}

/** The part of a plan that comes from a checkpoint, whose files are looked at when it is restored. */
function planRestore(
  deps: Deps,
  { checkpoint: id, env }: { readonly checkpoint: string; readonly env: Env },
): FromCheckpoint {
  const checkpoint = deps.store.checkpoints.get(id);
  if (checkpoint.kind === "pause" || checkpoint.kind === "fork") {
    throw new DomainError(
      "failed_precondition",
      `checkpoint ${id} belongs to a ${checkpoint.kind} and cannot be restored by itself`,
      {
        hint:
          checkpoint.kind === "pause"
            ? `\`ramet resume ${checkpoint.sandbox}\` does`
            : "take one with `ramet checkpoint create`",
      },
    );
  }
  const spec = { ...checkpoint.spec, env: { ...checkpoint.spec.env, ...env } };
  return {
    spec,
    generation: checkpoint.generation + 1,
    parentSnapshot: checkpoint.snapshotKey,
    checkpoint: id,
  };
}

export function goldenOf({ store }: Pick<Deps, "store">, name: string): string {
  const { state } = store.templates.get(name);
  if (state.status === "ready") return state.checkpoint;
  const why = state.status === "failed" ? `its build failed: ${state.reason}` : "it is still being built";
  throw new DomainError("failed_precondition", `template ${name} is not ready: ${why}`);
}

export interface ColdSpec {
  readonly image: string;
  readonly config: { readonly env: Env; readonly user: string; readonly cwd: string };
  readonly env: Env;
  readonly user?: string;
  readonly cwd?: string;
  readonly limits: Limits;
  readonly allowPrivilegeEscalation: boolean;
}

/** What the image says, overridden by what was asked for. */
export function coldSpec({ settings }: Pick<Deps, "settings">, asked: ColdSpec): SandboxSpec {
  return {
    image: asked.image,
    env: { ...asked.config.env, ...asked.env },
    user: asked.user ?? asked.config.user,
    cwd: asked.cwd ?? asked.config.cwd,
    limits: asked.limits,
    allowPrivilegeEscalation: asked.allowPrivilegeEscalation,
    guestVersion: settings.guestVersion,
    bootId: randomUUID(),
  };
}
