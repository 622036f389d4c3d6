/** Building a template: start the image, run its start command, wait until it is ready, dump, end it. */

import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { upperDirectory } from "../containerd/mounts.js";
import { syncTree } from "../lib/atomic-file.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openMergedStream } from "../lib/merged-stream.js";
import { openScope } from "../lib/scope.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { noSlots, type Template, type TemplateSpec } from "../template/template.js";
import { discardCheckpointFiles, finishCheckpointFiles, sealImages } from "./checkpoint-files.js";
import { launch } from "./container.js";
import { coldSpec } from "./create.js";
import type { Deps } from "./deps.js";
import { dump } from "./dump.js";
import { removeContainer } from "./end-container.js";
import { giveIdentity } from "./identity.js";
import { checkpointLayer, prepareSandboxLayer, sandboxLayer } from "./layer.js";
import type { TemplateProgress } from "./node.js";
import { becomeReady } from "./ready.js";
import { reapUnused } from "./reap.js";
import { journaled } from "./record.js";
import { shareMemory } from "./shared-memory.js";
import type { Slots } from "./slots.js";
import { unshiftOwners } from "./unshift.js";

type Report = (progress: TemplateProgress) => void;

/** Yields a message at each step, the template in the last. A build that fails leaves what was there before. */
export async function* buildTemplate(
  deps: Deps,
  slots: Pick<Slots, "tend">,
  spec: TemplateSpec,
  { replace }: { readonly replace: boolean },
  signal: AbortSignal,
): AsyncGenerator<TemplateProgress> {
  const stream = openMergedStream<TemplateProgress>(signal);
  const work = deps.queue.run(
    `template ${spec.name}`,
    () => build(deps, { spec, replace, report: stream.push }, stream.signal).finally(slots.tend),
    stream.signal,
  );
  try {
    yield* stream.until(work);
  } finally {
    stream.end();
    await work.catch(() => {});
  }
}

interface Build {
  readonly spec: TemplateSpec;
  readonly replace: boolean;
  readonly report: Report;
}

async function build(deps: Deps, { spec, replace, report }: Build, signal: AbortSignal): Promise<void> {
  const { store } = deps;
  const previous = store.templates.peek(spec.name);
  if (previous !== undefined && !replace) {
    throw new DomainError("already_exists", `a template is called ${spec.name} already`, {
      hint: "build it with --replace",
    });
  }
  const id = randomId() as SandboxId;
  const checkpoint = randomId();
  await journaled(
    deps,
    { kind: "build_template", sandbox: id, template: spec.name, checkpoint },
    async () => {
      await using undo = openScope();
      undo.defer(() => discardCheckpointFiles(deps, checkpoint));
      undo.defer(() => deps.containerd.snapshots.remove(checkpointLayer(checkpoint)));
      const golden = await takeGolden(deps, { id, checkpoint, spec, report }, signal);
      const template = store.transact((writer) => {
        const current = writer.templates.peek(spec.name);
        const built: Template = {
          spec,
          // As they are now: they may have been changed since the build began.
          slots: current?.slots ?? noSlots,
          createdAt: deps.now(),
          state: { status: "ready", since: deps.now(), checkpoint },
        };
        writer.checkpoints.insert(golden);
        if (current !== undefined) writer.templates.delete(spec.name);
        writer.templates.insert(built);
        return built;
      });
      undo.move();
      deps.record("template.ready", { attributes: { template: spec.name, checkpoint } });
      report({ step: "done", message: `template ${spec.name} is ready`, template });
    },
  );
  if (previous?.state.status === "ready") await reapUnused(deps, previous.state.checkpoint);
}

interface Golden {
  readonly id: SandboxId;
  readonly checkpoint: string;
  readonly spec: TemplateSpec;
  readonly report: Report;
}

/** The sandbox of a build has no record of its own: it is never anybody's, and is removed in any case. */
async function takeGolden(
  deps: Deps,
  { id, checkpoint, spec, report }: Golden,
  signal: AbortSignal,
): Promise<Checkpoint> {
  await using undo = openScope();
  report({ step: "starting", message: `starting ${spec.image}` });
  const { image, topSnapshot } = await deps.containerd.images.resolve(spec.image, signal);
  const createdAt = deps.now();
  const sandbox: Sandbox = {
    id,
    spec: coldSpec(deps, { ...spec, image: image.name, config: image.config }),
    origin: { kind: "image", image: image.name },
    labels: {},
    generation: 1,
    snapshotKey: sandboxLayer(id),
    createdAt,
    isSlot: false,
    state: { status: "creating", since: createdAt },
  };
  undo.defer(() => deps.containerd.snapshots.remove(sandbox.snapshotKey));
  const mounts = await prepareSandboxLayer(
    deps,
    { id, key: sandbox.snapshotKey, parent: topSnapshot },
    signal,
  );
  await launch(deps, { sandbox, rootfs: async () => mounts }, signal);
  undo.defer(() => removeContainer(deps, id));
  undo.defer(() => deps.guests.remove(id, new DomainError("unavailable", `the template's build is over`)));
  deps.failpoint("template.started");
  await giveIdentity(deps, sandbox, signal);
  await becomeReady(deps, { sandbox, spec, report }, signal);
  report({ step: "dumping", message: "taking the golden checkpoint" });
  const options = { checkpoint, readAhead: true, stayFrozen: true };
  const { freezeMs, begun } = await dump(deps, sandbox, options, signal);
  deps.failpoint("template.dumped");
  const memory = await shareMemory(deps, { sandbox: id, checkpoint, move: true }, signal);
  const files = { id: checkpoint, kind: "golden", sandbox, layerBytes: 0, memory } as const;
  const images = await sealImages(deps, { ...files, begun }, signal);
  await finishCheckpointFiles(deps, files, images);
  await removeContainer(deps, id);
  deps.failpoint("template.killed");
  await unshiftOwners(upperDirectory(mounts), deps.settings.ids, signal);
  await syncTree(upperDirectory(mounts), signal);
  const snapshotKey = checkpointLayer(checkpoint);
  const labels = { "ramet.checkpoint": checkpoint };
  await deps.containerd.snapshots.commit({ key: sandbox.snapshotKey, name: snapshotKey, labels }, signal);
  const { sizeBytes: layerBytes } = await deps.containerd.snapshots.usage(snapshotKey, signal);
  return {
    ...{ id: checkpoint, kind: "golden", sandbox: id, spec: sandbox.spec, generation: sandbox.generation },
    ...{ snapshotKey, ...memory, layerBytes, freezeMs, createdAt: deps.now() },
  };
}
