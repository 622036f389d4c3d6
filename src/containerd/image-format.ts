/** The OCI image format as far as it is used: parsed once, here. Pure. Source: OCI image-spec 1.1. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { ImageConfig } from "../image/image.js";
import { DomainError } from "../lib/errors.js";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  /** In Go's words: amd64, arm64. */
  readonly architecture: string;
}

export const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  layerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: z.number().int().nonnegative(),
  annotations: z
    .record(z.string(), z.string())
    .nullish()
    .transform((it) => it ?? {}),
});

const indexEntry = descriptor.extend({
  platform: z.object({ os: z.string(), architecture: z.string() }).nullish(),
});

const index = z.object({ schemaVersion: z.literal(2), manifests: z.array(indexEntry) });
const manifest = z.object({ schemaVersion: z.literal(2), config: descriptor, layers: z.array(descriptor) });

const strings = z
  .array(z.string())
  .nullish()
  .transform((it) => it ?? []);
const text = z
  .string()
  .nullish()
  .transform((it) => it ?? "");

/** Everything that is not named here is kept, so that a commit passes it on. */
const processConfig = z.looseObject({
  Env: strings,
  Entrypoint: strings,
  Cmd: strings,
  User: text,
  WorkingDir: text,
});
const config = z.looseObject({
  architecture: z.string(),
  os: z.string(),
  config: processConfig.nullish().transform((it) => it ?? processConfig.parse({})),
  rootfs: z.object({ type: z.string(), diff_ids: z.array(digest) }),
  history: z
    .array(z.looseObject({}))
    .nullish()
    .transform((it) => it ?? []),
});

export type IndexEntry = z.output<typeof indexEntry>;
export type ImageIndex = z.output<typeof index>;
export type Manifest = z.output<typeof manifest>;
export type ConfigFile = z.output<typeof config>;

export const parseIndex = (bytes: Uint8Array): ImageIndex => parse(index, bytes, "an image index");
export const parseManifest = (bytes: Uint8Array): Manifest => parse(manifest, bytes, "an image manifest");
export const parseConfig = (bytes: Uint8Array): ConfigFile => parse(config, bytes, "an image config");

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (err) {
    const reason = err instanceof z.ZodError ? z.prettifyError(err) : String(err);
    throw new DomainError("invalid_argument", `not ${what}: ${reason}`, { cause: err });
  }
}

export function isIndex(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerIndex;
}

/** This machine's platform in OCI's words. */
export function hostPlatform(arch: string): Platform {
  return { os: "linux", architecture: arch === "x64" ? "amd64" : arch };
}

/**
 * Manifests of an index that may run on the platform, each digest once: those that say so, or else those that
 * name no platform at all, as single-image archives often do.
 */
export function manifestsFor({ manifests }: ImageIndex, platform: Platform): IndexEntry[] {
  const named = manifests.filter(
    (it) => it.platform?.os === platform.os && it.platform.architecture === platform.architecture,
  );
  const candidates = named.length > 0 ? named : manifests.filter((it) => it.platform == null);
  return [...new Map(candidates.map((it) => [it.digest, it])).values()];
}

/** containerd's key of the snapshot that holds these layers, bottom first. Empty for no layers. */
export function chainId(diffIds: readonly string[]): string {
  return diffIds.reduce((parent, diffId) => (parent === "" ? diffId : sha256(`${parent} ${diffId}`)), "");
}

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/**
 * What a sandbox takes from the config file. An empty working directory is `/`, an empty user is root; a variable
 * without a name, which no program can ask for, is left out.
 */
export function imageConfigOf({ config: it, architecture }: ConfigFile): ImageConfig {
  return {
    env: Object.fromEntries(it.Env.map(splitVariable).filter(([name]) => name !== "")),
    user: it.User === "" ? "root" : it.User,
    cwd: it.WorkingDir === "" ? "/" : it.WorkingDir,
    entrypoint: it.Entrypoint,
    cmd: it.Cmd,
    architecture,
  };
}

function splitVariable(variable: string): [string, string] {
  const at = variable.indexOf("=");
  return at < 0 ? [variable, ""] : [variable.slice(0, at), variable.slice(at + 1)];
}
