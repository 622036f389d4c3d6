/**
 * manifest.json says what a checkpoint's directory holds and what a host needs to restore it. Its format has
 * a version; a newer one is refused. The digest in it covers the rest of it.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { DomainError } from "../lib/errors.js";
import { dateSchema, idSchema, sandboxSpecSchema } from "../sandbox/schema.js";
import { checkpointKinds } from "./checkpoint.js";

/** 2: with shared memory, which an agent for version 1 does not place. */
export const formatVersion = 2;

/** A manifest has one entry for each file, and CRIU writes some ten files for each process. */
export const manifestBytesMax = 16 * 1024 * 1024;

const fileSchema = z.strictObject({
  /** Relative to the checkpoint's directory. */
  path: z.string().refine(isInnerPath, "not a path inside the directory"),
  sizeBytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const bodySchema = z.strictObject({
  formatVersion: z.union([z.literal(1), z.literal(formatVersion)]),
  id: idSchema,
  kind: z.enum(checkpointKinds),
  createdAt: dateSchema,
  sandbox: idSchema,
  parent: idSchema.exactOptional(),
  base: idSchema.exactOptional(),
  generation: z.int().nonnegative(),
  spec: sandboxSpecSchema,
  host: z.strictObject({
    architecture: z.string().min(1),
    kernel: z.string().min(1),
    /** What a restoring CPU has to offer, see cpu-features.ts. */
    cpuFeatures: z.array(z.string()),
    criuVersion: z.string().min(1),
    runcVersion: z.string().min(1),
    /** Host ids of the sandbox's user namespace: a restore keeps them. */
    ids: z.strictObject({ base: z.int().nonnegative(), size: z.int().positive() }),
  }),
  memoryBytes: z.int().nonnegative(),
  inheritedBytes: z.int().nonnegative().default(0),
  layerBytes: z.int().nonnegative(),
  files: z.array(fileSchema),
});

const writtenSchema = bodySchema.extend({ digest: z.string() });

export type ManifestFile = Readonly<z.output<typeof fileSchema>>;
export type Manifest = Readonly<z.output<typeof bodySchema>>;

/** The text of manifest.json. */
export function formatManifest(manifest: Manifest): string {
  const body = JSON.parse(JSON.stringify(manifest)) as object;
  return `${JSON.stringify({ ...body, digest: digestOf(body) }, undefined, 2)}\n`;
}

/**
 * Reads what formatManifest wrote. Throws `failed_precondition` with one sentence: damaged, or of a newer
 * format. `what` names the checkpoint in it.
 */
export function parseManifest(what: string, text: string): Manifest {
  const written = parseJson(what, text);
  const { formatVersion: version } = versionSchema.parse(written);
  if (version !== undefined && version > formatVersion) {
    throw new DomainError(
      "failed_precondition",
      `${what} has format version ${version}, this agent knows up to ${formatVersion}`,
      { hint: "restore it with a newer ramet" },
    );
  }
  const parsed = writtenSchema.safeParse(written);
  if (!parsed.success) throw damagedManifest(what, sentenceOf(parsed.error));
  const { digest, ...manifest } = parsed.data;
  const { digest: _, ...body } = written as { digest: string };
  if (digestOf(body) !== digest) throw damagedManifest(what, "it does not match its own digest");
  return manifest;
}

const versionSchema = z
  .object({ formatVersion: z.number().optional().catch(undefined) })
  .catch({ formatVersion: undefined });

function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damagedManifest(what, "it is not JSON");
  }
}

function sentenceOf({ issues }: z.ZodError): string {
  const [first, ...more] = issues.map(({ path, message }) => `${message} at ${path.join(".") || "the top"}`);
  return `${first}${more.length > 0 ? `, and ${more.length} more like it` : ""}`;
}

export function damagedManifest(what: string, why: string): DomainError {
  return new DomainError("failed_precondition", `the manifest of ${what} is damaged: ${why}`, {
    hint: "it cannot be restored; remove it",
  });
}

// JSON keeps the order of keys, so writing the parsed text again gives the text that was digested.
function digestOf(body: object): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("hex");
}

function isInnerPath(path: string): boolean {
  const parts = path.split("/");
  return path.length <= 512 && !path.includes("\0") && parts.every((part) => !["", ".", ".."].includes(part));
}
