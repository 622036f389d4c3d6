import { expect, test } from "vitest";
import { isShifted, mappingLabelsOf, readOnlyMounts, upperDirectory } from "./mounts.js";

const snapshots = "/var/lib/ramet/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
const overlay = {
  type: "overlay",
  source: "overlay",
  options: [
    "index=off",
    `workdir=${snapshots}/9/work`,
    `upperdir=${snapshots}/9/fs`,
    `lowerdir=${snapshots}/2/fs:${snapshots}/1/fs`,
  ],
};
const bind = { type: "bind", source: `${snapshots}/1/fs`, options: ["rbind", "rw"] };

test("mapping labels are those that containerd's snapshotters read", () => {
  const labels = mappingLabelsOf({ hostId: 100_000, size: 65_536 });
  expect(labels).toEqual({
    "containerd.io/snapshot/uidmapping": "0:100000:65536",
    "containerd.io/snapshot/gidmapping": "0:100000:65536",
  });
  expect(isShifted(labels)).toBe(true);
  expect(isShifted({ "ramet.sandbox": "s1" })).toBe(false);
});

test("finds the directory of an active snapshot's own files", () => {
  expect(upperDirectory([overlay])).toBe(`${snapshots}/9/fs`);
  expect(upperDirectory([bind])).toBe(`${snapshots}/1/fs`);
});

test.each([
  ["no mounts", []],
  ["two mounts", [overlay, bind]],
  ["a view of several layers", [{ ...overlay, options: [`lowerdir=${snapshots}/2/fs:${snapshots}/1/fs`] }]],
])("refuses %s as a place to write to", (_name, mounts) => {
  expect(() => upperDirectory(mounts)).toThrow(/no directory to write to/);
});

test("a read-only overlay has the upper directory on top of its lower ones", () => {
  expect(readOnlyMounts([overlay])).toEqual([
    { ...overlay, options: ["index=off", `lowerdir=${snapshots}/9/fs:${snapshots}/2/fs:${snapshots}/1/fs`] },
  ]);
});

test("a read-only bind mount loses its rw", () => {
  expect(readOnlyMounts([bind])).toEqual([{ ...bind, options: ["rbind", "ro"] }]);
});
