import { expect, test } from "vitest";
import { nameManifests } from "./import.js";

const entry = (digit: string, annotations: Record<string, string> = {}) => ({
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: `sha256:${digit.repeat(64)}`,
  size: 3,
  annotations,
  platform: null,
});
const target = (digit: string) => {
  const { mediaType, digest, size } = entry(digit);
  return { mediaType, digest, size };
};

test("the caller's name wins over the archive's", () => {
  const it = entry("1", { "org.opencontainers.image.ref.name": "latest" });
  expect(nameManifests([it], [it], "mine")).toEqual([{ name: "mine", target: target("1") }]);
});

test("a full name wins over a tag, and one manifest may have several names", () => {
  const first = entry("1", {
    "io.containerd.image.name": "docker.io/library/a:1",
    "org.opencontainers.image.ref.name": "1",
  });
  const second = entry("1", { "org.opencontainers.image.ref.name": "b" });
  expect(nameManifests([first], [first, second])).toEqual([
    { name: "docker.io/library/a:1", target: target("1") },
    { name: "b", target: target("1") },
  ]);
});

test.each([
  ["nothing for this platform", [], "x", /no image for this machine/],
  ["two images for one name", [entry("1"), entry("2")], "x", /one name does not do/],
  ["no name at all", [entry("1")], undefined, /does not name its image/],
  [
    "a name that is none",
    [entry("1", { "org.opencontainers.image.ref.name": "a b" })],
    undefined,
    /not an image name/,
  ],
])("refuses %s", (_case, entries, name, message) => {
  expect(() => nameManifests(entries, entries, name)).toThrow(message);
});
