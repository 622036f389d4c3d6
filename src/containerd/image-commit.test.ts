import { expect, test } from "vitest";
import { committedConfig, committedManifest } from "./image-commit.js";
import { parseConfig, parseManifest } from "./image-format.js";

const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`;
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

const base = parseConfig(
  json({
    architecture: "amd64",
    os: "linux",
    author: "somebody",
    config: { Env: ["PATH=/bin", "A=1"], Cmd: ["sh"], Labels: { kept: "yes" } },
    rootfs: { type: "layers", diff_ids: [digestOf("a")] },
    history: [{ created_by: "first" }],
  }),
);
const commit = {
  diffId: digestOf("b"),
  createdBy: "ramet commit s1",
  createdAt: new Date("2026-01-02T03:04:05Z"),
};

test("adds the layer and its history line and keeps what it does not know", () => {
  const config = committedConfig(base, { ...commit, comment: "step 1000" });
  expect(config.rootfs.diff_ids).toEqual([digestOf("a"), digestOf("b")]);
  expect(config.history).toEqual([
    { created_by: "first" },
    { created: "2026-01-02T03:04:05.000Z", created_by: "ramet commit s1", comment: "step 1000" },
  ]);
  expect(config).toMatchObject({ author: "somebody", config: { Labels: { kept: "yes" }, Cmd: ["sh"] } });
});

test("merges variables by name and replaces the rest", () => {
  const changes = { env: { A: "2", B: "x=y" }, user: "user", cwd: "/w", cmd: ["bash"], entrypoint: [] };
  expect(committedConfig(base, { ...commit, changes }).config).toMatchObject({
    Env: ["PATH=/bin", "A=2", "B=x=y"],
    User: "user",
    WorkingDir: "/w",
    Cmd: ["bash"],
    Entrypoint: [],
  });
});

test("speaks of docker's layers in OCI's words", () => {
  const layer = (mediaType: string, digit: string) => ({ mediaType, digest: digestOf(digit), size: 1 });
  const manifest = parseManifest(
    json({
      schemaVersion: 2,
      config: layer("application/vnd.docker.container.image.v1+json", "c"),
      layers: [layer("application/vnd.docker.image.rootfs.diff.tar.gzip", "1")],
    }),
  );
  const made = committedManifest(
    manifest,
    layer("application/vnd.oci.image.config.v1+json", "d"),
    layer("application/vnd.oci.image.layer.v1.tar+gzip", "2"),
  );
  expect(made.layers.map(({ mediaType }) => mediaType)).toEqual([
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+gzip",
  ]);
});
