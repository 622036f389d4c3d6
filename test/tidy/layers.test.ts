import { describe, expect, it } from "vitest";
import { folderOf, importsOf, readSources } from "./sources.js";

const domain = ["sandbox", "checkpoint", "template", "image", "fleet"];
const adapters = ["containerd", "criu", "guest-client", "store"];

/** Who may import from whom, besides itself. Imports go one way: from the right of ARCHITECTURE to its left. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  ...Object.fromEntries(domain.map((folder) => [folder, ["lib", ...domain]])),
  sqlite: ["lib"],
  store: ["lib", "sqlite", ...domain],
  containerd: ["lib", "gen", ...domain],
  criu: ["lib", ...domain],
  "guest-client": ["lib", ...domain],
  "agent-client": ["lib", "gen"],
  config: ["lib"],
  node: ["lib", "config", ...domain, ...adapters],
  doctor: ["lib", "config", "containerd", "criu", "node"],
  api: ["lib", "gen", "node", ...domain],
  // The guest's own errors say more than the domain's.
  envd: ["lib", "gen", "node", "guest-client", ...domain],
  cli: ["lib", "gen", "config", "criu", "doctor", "agent-client", ...domain],
  authority: ["lib"],
  "registry-store": ["lib", "sqlite", ...domain],
  // The agent's side of being one of many: joining, reporting.
  membership: ["lib", "gen", "config", "authority", "node", ...domain],
  registry: ["lib", "gen", "config", "authority", "agent-client", "registry-store", ...domain],
  // Edges of the registry.
  e2b: ["lib", "registry", ...domain],
  admin: ["lib", "registry", "registry-store", ...domain],
  gateway: ["lib", "gen", "agent-client", "registry", ...domain],
  "nodes-api": ["lib", "gen", "config", "agent-client", "registry", "registry-store", ...domain],
  bin: [
    "lib",
    "config",
    "node",
    "api",
    "envd",
    "cli",
    "membership",
    "registry",
    "e2b",
    "admin",
    "gateway",
    "nodes-api",
  ],
};

/** Node's modules that the domain may use: they compute, and neither read nor write anything outside. */
const pureModules = ["node:crypto", "node:path"];

/** The one file of the domain that reads: checksums of files. */
const readsFiles = ["src/checkpoint/verify.ts", "src/checkpoint/verify.test.ts"];

const sources = readSources("src", [".ts"]);
const isTest = (path: string) => path.endsWith(".test.ts");

describe("layers", () => {
  it("names every folder", () => {
    const folders = new Set(sources.map(({ path }) => folderOf(path)));
    expect([...folders].filter((folder) => folder !== undefined && mayImport[folder] === undefined)).toEqual(
      [],
    );
  });

  it("imports one way", () => {
    // A test may wire up more than what it tests.
    const wrong = sources
      .filter(({ path }) => !isTest(path))
      .flatMap((source) => {
        const folder = folderOf(source.path) ?? "";
        const others = importsOf(source).filter((path) => (folderOf(path) ?? folder) !== folder);
        return others
          .filter((path) => !mayImport[folder]?.includes(folderOf(path) ?? ""))
          .map((path) => `${source.path} imports ${path}`);
      });
    expect(wrong).toEqual([]);
  });

  it("keeps the domain free of reading, writing, clocks and chance", () => {
    const outside = /\bprocess\.(env|arch|platform|pid|cwd|exit)\b|Date\.now\(|new Date\(\)|Math\.random/;
    const isOutside = (name: string) => name.startsWith("node:") && !pureModules.includes(name);
    const wrong = sources
      .filter(({ path }) => domain.includes(folderOf(path) ?? "") && !readsFiles.includes(path))
      .filter((source) => importsOf(source).some(isOutside) || outside.test(source.text))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });
});

describe("size", () => {
  it("has no file too long to read", () => {
    const all = [
      ...readSources("src", [".ts", ".c", ".h", ".sql"]),
      ...readSources("test", [".ts"]),
      ...readSources("proto", [".proto"]),
    ];
    const linesMax = (path: string) => (isTest(path) || path.endsWith(".proto") ? 500 : 400);
    const long = all
      .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
      .filter(({ path, lines }) => lines > linesMax(path));
    expect(long).toEqual([]);
  });
});

describe("loose ends", () => {
  it("leaves none", () => {
    // Written in two parts, so that this file is not one of those it finds.
    const loose = new RegExp(
      ["\\b(TO", "DO|FIX", "ME)\\b|@ts-(ig", "nore|no", "check)|\\.(on", "ly|to", "do)\\("].join(""),
    );
    const all = [...sources, ...readSources("test", [".ts"])];
    expect(all.filter(({ text }) => loose.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
