import { expect, it } from "vitest";
import { criuConfig } from "./config.js";

it("has one option a line, each explained, and ends with a newline", () => {
  const lines = criuConfig({ ghostBytesMax: 5 }).split("\n");
  const set = lines.filter((line) => line !== "" && !line.startsWith("#"));
  expect(set).toEqual([
    "tcp-established",
    "skip-in-flight",
    "network-lock skip",
    "manage-cgroups=ignore",
    "file-locks",
    "ghost-limit 5",
  ]);
  expect(lines.at(-1)).toBe("");
});

it("locks the network when asked to", () => {
  expect(criuConfig({ networkLock: "nftables" })).toContain("\nnetwork-lock nftables\n");
});

it("keeps deleted files of up to 512 MiB unless told otherwise", () => {
  expect(criuConfig()).toContain("\nghost-limit 536870912\n");
});
