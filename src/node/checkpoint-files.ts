/** The directory of a checkpoint: finished into a whole one, looked at before a restore, thrown away. */
import { existsSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { compareHost, requireCompatible } from "../checkpoint/compat.js";
import { requiredFeatures } from "../checkpoint/cpu-features.js";
import {
  damagedManifest,
  formatManifest,
  formatVersion,
  type Manifest,
  type ManifestFile,
  manifestBytesMax,
  parseManifest,
} from "../checkpoint/manifest.js";
import { syncDirectory, syncWritten } from "../lib/atomic-file.js";
import { DomainError } from "../lib/errors.js";
import { openRegular } from "../lib/regular-file.js";
import { settleAll } from "../lib/settle.js";
import type { Sandbox } from "../sandbox/sandbox.js";
import type { Deps } from "./deps.js";
import type { Dump } from "./dump.js";
import { checkpointFiles } from "./paths.js";
import type { MemorySizes } from "./shared-memory.js";

type FileDeps = Pick<Deps, "paths" | "settings" | "verifier" | "now">;

/** CRIU's images, which nothing changes any more. */
export interface SealedImages {
  readonly files: ManifestFile[];
  /** They are on the disk. */
  readonly durable: Promise<void>;
}

/** Digests a dump's images while the disk takes them. Not a fork's: it is used at once and gone after a crash. */
export async function sealImages(
  { paths, verifier }: Pick<Deps, "paths" | "verifier">,
  { id, kind, begun }: Pick<Checkpoint, "id" | "kind"> & Pick<Dump, "begun">,
  signal: AbortSignal,
): Promise<SealedImages> {
  if (kind === "fork") return { files: [], durable: Promise.resolve() };
  const { images, memory } = checkpointFiles;
  const below = (name: string) => join(paths.checkpoint(id), name);
  const names = [images, ...(existsSync(below(memory)) ? [memory] : [])];
  const durable = settleAll(...names.map((name) => syncWritten(below(name), signal))).then(() => {});
  // Whoever makes it a whole checkpoint waits for it.
  durable.catch(() => {});
  const files: ManifestFile[] = [];
  for (const name of names) {
    const found = await verifier.digest(below(name), name === images ? { begun } : {}, signal);
    files.push(...found.map((file) => ({ ...file, path: join(name, file.path) })));
  }
  return { durable, files };
}

export interface Finished {
  readonly id: string;
  readonly kind: Checkpoint["kind"];
  readonly sandbox: Sandbox;
  readonly layerBytes: number;
  readonly memory: MemorySizes;
  readonly parent?: string;
  readonly base?: string;
}

/** Makes a dump's directory a whole checkpoint, durable, manifest and all: it can be recorded. A fork's needs none. */
export async function finishCheckpointFiles(
  deps: FileDeps,
  finished: Finished,
  { files, durable }: SealedImages,
): Promise<void> {
  const { id, kind } = finished;
  if (kind === "fork") return;
  const directory = deps.paths.checkpoint(id);
  const manifest = { ...manifestOf(deps, finished), files };
  const manifestPath = join(directory, checkpointFiles.manifest);
  writeFileSync(manifestPath, formatManifest(manifest), { flag: "wx", mode: 0o600 });
  // One wait for all, its name too: in which order the disk takes them does not matter before the record.
  await settleAll(durable, syncWritten(directory), syncDirectory(deps.paths.checkpoints));
}

function manifestOf({ settings, now }: FileDeps, finished: Finished): Omit<Manifest, "files"> {
  const { id, kind, sandbox, layerBytes, memory, parent, base } = finished;
  const { architecture, kernel, cpuFeatures, criuVersion, runcVersion, ids } = settings.host;
  return {
    formatVersion,
    id,
    kind,
    createdAt: now(),
    sandbox: sandbox.id,
    ...(parent === undefined ? {} : { parent }),
    ...(base === undefined ? {} : { base }),
    generation: sandbox.generation,
    // The environment may hold secrets: the record has it, the manifest has not.
    spec: { ...sandbox.spec, env: {} },
    host: {
      architecture,
      kernel,
      cpuFeatures: requiredFeatures(cpuFeatures, architecture),
      criuVersion,
      runcVersion,
      ids,
    },
    ...memory,
    layerBytes,
  };
}

/** Throws `failed_precondition`, every reason in one sentence, unless it is whole and fits this host. */
export async function checkRestorable(
  deps: FileDeps & Pick<Deps, "log">,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  const what = describe(checkpoint);
  const { manifest } = await readManifest(deps, checkpoint);
  const warnings = requireCompatible(what, manifest, deps.settings.host);
  for (const warning of warnings) deps.log.warn({ checkpoint: checkpoint.id }, warning);
  const damage = await deps.verifier.verify(deps.paths.checkpoint(checkpoint.id), manifest.files, {}, signal);
  if (damage.length > 0) throw damaged(what, damage);
}

function damaged(what: string, damage: readonly string[]): DomainError {
  return new DomainError(
    "failed_precondition",
    `cannot restore ${what}: it is damaged: ${damage.join("; ")}`,
    {
      hint: "nothing was started; put the file back from a copy, or remove the checkpoint",
    },
  );
}

/** Everything wrong with a checkpoint, each file read afresh. */
export async function checkpointProblems(
  deps: FileDeps,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    const { manifest } = await readManifest(deps, checkpoint);
    const directory = deps.paths.checkpoint(checkpoint.id);
    const damage = await deps.verifier.verify(directory, manifest.files, { fresh: true }, signal);
    return [...compareHost(manifest, deps.settings.host).problems, ...damage];
  } catch (thrown) {
    if (thrown instanceof DomainError && thrown.code === "failed_precondition") return [thrown.message];
    throw thrown;
  }
}

export interface ReadManifest {
  readonly manifest: Manifest;
  readonly text: string;
}

/** Throws `failed_precondition` unless a whole manifest of this very checkpoint is there. */
export async function readManifest(
  { paths }: Pick<Deps, "paths">,
  checkpoint: Checkpoint,
): Promise<ReadManifest> {
  const what = describe(checkpoint);
  await using file = await openRegular(join(paths.checkpoint(checkpoint.id), checkpointFiles.manifest));
  if (file === undefined) throw withoutManifest(what, checkpoint);
  const { size } = await file.stat();
  if (size > manifestBytesMax) throw damagedManifest(what, `it has ${size} bytes`);
  const text = await file.readFile("utf8");
  const manifest = parseManifest(what, text);
  if (manifest.id !== checkpoint.id) throw damagedManifest(what, `it is that of checkpoint ${manifest.id}`);
  return { manifest, text };
}

const describe = ({ id, name }: Checkpoint) => `checkpoint ${name ?? id}`;

function withoutManifest(what: string, { kind }: Checkpoint): DomainError {
  const why =
    kind === "fork"
      ? "it belongs to a fork, and its memory is gone"
      : "its manifest.json is missing, or no regular file";
  return new DomainError("failed_precondition", `${what} cannot be restored: ${why}`);
}

export async function discardCheckpointFiles({ paths }: Pick<Deps, "paths">, id: string): Promise<void> {
  await rm(paths.checkpoint(id), { recursive: true, force: true });
}
