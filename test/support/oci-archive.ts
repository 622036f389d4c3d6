/** Writes small OCI images, whole or broken on purpose. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";

export interface OciLayout {
  /** Name in the archive and bytes, in the archive's order. */
  readonly files: Map<string, Buffer>;
  readonly manifestDigest: string;
  readonly layerDigest: string;
  readonly configDigest: string;
}

export interface LayoutOptions {
  /** Path inside the image and content. */
  readonly content?: Readonly<Record<string, string>>;
  readonly architecture?: string;
  readonly refName?: string;
  readonly diffId?: string;
  readonly config?: object;
  /** None at all. */
  readonly isEmpty?: boolean;
}

export const digestOf = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** The files of an OCI layout with one image of one gzip layer. */
export async function ociLayout(options: LayoutOptions = {}): Promise<OciLayout> {
  const {
    content = { "hello.txt": "hello\n" },
    architecture = hostArchitecture(),
    refName,
    config = {},
    isEmpty = false,
  } = options;
  const tar = await tarOf(new Map(Object.entries(content).map(([path, text]) => [path, Buffer.from(text)])));
  const layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar));
  const configFile = blob(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture,
      os: "linux",
      config,
      rootfs: { type: "layers", diff_ids: isEmpty ? [] : [options.diffId ?? digestOf(tar)] },
      history: [{ created_by: "test" }],
    }),
  );
  const manifest = blob(
    "application/vnd.oci.image.manifest.v1+json",
    json({ schemaVersion: 2, config: configFile.descriptor, layers: isEmpty ? [] : [layer.descriptor] }),
  );
  const annotations = refName === undefined ? {} : { "org.opencontainers.image.ref.name": refName };
  const index = { schemaVersion: 2, manifests: [{ ...manifest.descriptor, annotations }] };
  const files = new Map([
    ["oci-layout", json({ imageLayoutVersion: "1.0.0" })],
    ["index.json", json(index)],
    ...[layer, configFile, manifest].map(({ path, bytes }) => [path, bytes] as const),
  ]);
  return {
    files,
    manifestDigest: manifest.descriptor.digest,
    layerDigest: layer.descriptor.digest,
    configDigest: configFile.descriptor.digest,
  };
}

function hostArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

function blob(mediaType: string, bytes: Buffer) {
  const digest = digestOf(bytes);
  return { path: blobPath(digest), bytes, descriptor: { mediaType, digest, size: bytes.byteLength } };
}

export const blobPath = (digest: string) => `blobs/${digest.replace(":", "/")}`;

/** A tar file of these files, in this order. */
export async function tarOf(files: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), "ramet-archive-"));
  try {
    for (const [path, bytes] of files) {
      await mkdir(dirname(join(directory, "in", path)), { recursive: true });
      await writeFile(join(directory, "in", path), bytes);
    }
    const owner = ["--owner=0", "--group=0", "--mtime=@0"];
    await execa("tar", [
      ...owner,
      "-C",
      join(directory, "in"),
      "-cf",
      join(directory, "out.tar"),
      ...files.keys(),
    ]);
    return await readFile(join(directory, "out.tar"));
  } finally {
    await rm(directory, { recursive: true });
  }
}
