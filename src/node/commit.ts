/** Commit: the filesystem of a sandbox, as it stands at one instant, as a named OCI image. */

import type { Image } from "../image/image.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import { openScope } from "../lib/scope.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import { thaw } from "./dump.js";
import { checkpointLayer, commitLayer, copyUpper, prepareLayerCopy, removeLayerCopy } from "./layer.js";
import type { CommitOptions } from "./node.js";
import { journaled, stateError } from "./record.js";
import { freezeServed } from "./traced.js";

export interface Committed {
  readonly image: Image;
  /** Compressed. */
  readonly layerBytes: number;
}

export async function commitSandbox(
  deps: Deps,
  ref: string,
  options: CommitOptions,
  signal: AbortSignal,
): Promise<Committed> {
  const { id } = deps.store.sandboxes.find(ref);
  if (!options.replace) await refuseTaken(deps, options.image, signal);
  return deps.queue.run(id, () => commit(deps, id, options, signal), signal);
}

async function refuseTaken({ containerd }: Deps, name: string, signal: AbortSignal): Promise<void> {
  const taken = await containerd.images.get(name, signal).catch((thrown: unknown) => {
    if (isDomainError(thrown, "not_found")) return undefined;
    throw thrown;
  });
  if (taken === undefined) return;
  throw new DomainError("already_exists", `an image is called ${name} already`, {
    hint: "commit with --replace, or to another name",
  });
}

async function commit(
  deps: Deps,
  id: SandboxId,
  options: CommitOptions,
  signal: AbortSignal,
): Promise<Committed> {
  const sandbox = deps.store.sandboxes.get(id);
  const { status } = sandbox.state;
  if (status !== "running" && status !== "paused" && status !== "stopped")
    throw stateError(sandbox, "commit", "running");
  const checkpoint = randomId();
  return journaled(
    deps,
    { kind: "commit", sandbox: id, checkpoint, args: { image: options.image } },
    async () => {
      await using undo = openScope();
      const sandboxKey = sandbox.snapshotKey;
      undo.defer(() => deps.containerd.snapshots.remove(checkpointLayer(checkpoint)));
      undo.defer(() => removeLayerCopy(deps, checkpoint));
      const copy = await prepareLayerCopy(deps, { checkpoint, sandboxKey }, signal);
      await standingStill(deps, sandbox, () => copyUpper(deps, copy));
      deps.failpoint("commit.copied");
      const { key } = await commitLayer(deps, { copy, checkpoint, durable: false }, signal);
      const committed = await makeImage(deps, { sandbox, key, options }, signal);
      deps.failpoint("commit.diffed");
      deps.record("image.committed", { sandbox: id, attributes: { image: committed.image.name } });
      return committed;
    },
  );
}

/** Freezes a running sandbox for the time of `work`. */
async function standingStill(deps: Deps, sandbox: Sandbox, work: () => Promise<void>): Promise<void> {
  if (sandbox.state.status !== "running") return work();
  try {
    await freezeServed(deps, sandbox.id);
    deps.failpoint("commit.frozen");
    await work();
  } finally {
    await thaw(deps, sandbox);
  }
}

interface ImageSource {
  readonly sandbox: Sandbox;
  readonly key: string;
  readonly options: CommitOptions;
}

async function makeImage(
  deps: Deps,
  { sandbox, key, options }: ImageSource,
  signal: AbortSignal,
): Promise<Committed> {
  const { containerd } = deps;
  const { cmd, entrypoint, env, user, cwd, comment, author } = options;
  const changes = {
    env: { ...sandbox.spec.env, ...env },
    ...(cmd.length === 0 ? {} : { cmd }),
    ...(entrypoint.length === 0 ? {} : { entrypoint }),
    ...(user === undefined ? {} : { user }),
    ...(cwd === undefined ? {} : { cwd }),
  };
  const image = await containerd.commit(
    {
      name: options.image,
      base: sandbox.spec.image,
      snapshotKey: key,
      createdBy: `ramet commit ${sandbox.name ?? sandbox.id}`,
      changes,
      createdAt: deps.now(),
      ...(comment === undefined ? {} : { comment }),
      ...(author === undefined ? {} : { author }),
    },
    signal,
  );
  const { manifest } = await containerd.images.resolve(image.name, signal);
  return { image, layerBytes: manifest.layers.at(-1)?.size ?? 0 };
}
