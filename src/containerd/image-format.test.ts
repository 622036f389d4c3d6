import { expect, test } from "vitest";
import {
  chainId,
  hostPlatform,
  imageConfigOf,
  manifestsFor,
  parseConfig,
  parseIndex,
  parseManifest,
} from "./image-format.js";

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`;
const entry = (digit: string, architecture?: string) => ({
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: digestOf(digit),
  size: 3,
  ...(architecture === undefined ? {} : { platform: { os: "linux", architecture } }),
});
const amd64 = hostPlatform("x64");

function chosen(...manifests: object[]): string[] {
  return manifestsFor(parseIndex(json({ schemaVersion: 2, manifests })), amd64).map(({ digest }) => digest);
}

test("prefers the manifest that names the platform", () => {
  expect(chosen(entry("1"), entry("2", "arm64"), entry("3", "amd64"))).toEqual([digestOf("3")]);
});

test("takes manifests without a platform when none names it", () => {
  expect(chosen(entry("1"), entry("2", "arm64"))).toEqual([digestOf("1")]);
});

test("counts a manifest once that has several names", () => {
  expect(chosen(entry("1"), entry("1"))).toEqual([digestOf("1")]);
});

test("finds nothing for another platform", () => {
  expect(chosen(entry("2", "arm64"))).toEqual([]);
});

test("chains layer digests as the OCI image-spec says", () => {
  expect(chainId([])).toBe("");
  expect(chainId([digestOf("a")])).toBe(digestOf("a"));
  // printf 'sha256:aa… sha256:bb…' | sha256sum
  expect(chainId([digestOf("a"), digestOf("b")])).toBe(
    "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c",
  );
});

test("reads what a sandbox takes from a config", () => {
  const config = parseConfig(
    json({
      architecture: "amd64",
      os: "linux",
      config: {
        Env: ["PATH=/bin", "EMPTY=", "EQ=a=b", "BARE", "=nameless"],
        Cmd: ["sh"],
        User: "user",
        WorkingDir: "/home/user",
      },
      rootfs: { type: "layers", diff_ids: [digestOf("a")] },
    }),
  );
  expect(imageConfigOf(config)).toEqual({
    env: { PATH: "/bin", EMPTY: "", EQ: "a=b", BARE: "" },
    user: "user",
    cwd: "/home/user",
    entrypoint: [],
    cmd: ["sh"],
    architecture: "amd64",
  });
});

test("an image that says nothing runs as root in /", () => {
  const bare = {
    architecture: "amd64",
    os: "linux",
    config: { Env: null },
    rootfs: { type: "layers", diff_ids: [] },
  };
  expect(imageConfigOf(parseConfig(json(bare)))).toMatchObject({ user: "root", cwd: "/", env: {}, cmd: [] });
});

test.each([
  ["broken JSON", new TextEncoder().encode("{")],
  [
    "a digest that is none",
    json({ schemaVersion: 2, config: { ...entry("1"), digest: "sha256:zz" }, layers: [] }),
  ],
  ["a negative size", json({ schemaVersion: 2, config: { ...entry("1"), size: -1 }, layers: [] })],
  ["an older schema", json({ schemaVersion: 1 })],
])("refuses a manifest with %s", (_name, bytes) => {
  expect(() => parseManifest(bytes)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
});
