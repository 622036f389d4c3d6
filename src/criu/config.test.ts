import { expect, it } from "vitest";
import { criuConfig } from "./config.js";

it("has one option a line, each explained, and ends with a newline", () => {
  const lines = criuConfig({ ghostBytesMax: 5 }).split("\n");
  const set = lines.filter((line) => line !== "" && !/^#|^irmap/.test(line));
  expect(set).toEqual([
    "tcp-established",
    "skip-in-flight",
    "network-lock skip",
    "empty-ns net",
    "manage-cgroups=ignore",
    "file-locks",
    "ghost-limit 5",
  ]);
  expect(lines.at(-1)).toBe("");
});

it("looks for watched files in the given places, then the usual ones, then everywhere", () => {
  const text = criuConfig({ scanFirst: ["/srv/repo", "/", "/tmp", "/odd name", "/a\nauto-dedup"] });
  const places = [...text.matchAll(/^irmap-scan-path (.*)$/gm)].map(([, path]) => path);
  expect(places.slice(0, 3)).toEqual(["/srv/repo", "/tmp", "/home"]);
  expect(places.at(-1)).toBe("/.");
  expect(new Set(places).size).toBe(places.length);
  expect(text).not.toMatch(/odd|auto-dedup/);
});

it("locks the network when asked to", () => {
  expect(criuConfig({ networkLock: "nftables" })).toContain("\nnetwork-lock nftables\n");
});

it("keeps deleted files of up to 512 MiB unless told otherwise", () => {
  expect(criuConfig()).toContain("\nghost-limit 536870912\n");
});
