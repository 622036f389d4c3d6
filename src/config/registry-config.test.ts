import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadRegistryConfig } from "./load.js";
import { listOptions } from "./options.js";
import { registryProgram } from "./registry-schema.js";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ramet-config-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function load({ toml = "", env = {}, argv = [] as string[] }) {
  const path = join(dir, "registry.toml");
  writeFileSync(path, toml);
  return loadRegistryConfig({ argv, env: { RAMET_REGISTRY_CONFIG: path, ...env } });
}

describe("the registry's configuration", () => {
  it("has a default for everything, and listens on the loopback", () => {
    expect(load({})).toEqual({
      dataDir: "/var/lib/ramet-registry",
      listen: { host: "127.0.0.1", port: 7070 },
      keys: "on",
      logLevel: "info",
      api: { listen: { host: "127.0.0.1", port: 0 } },
      nodes: { listen: { host: "127.0.0.1", port: 7071 }, lostAfterMs: 300_000 },
    });
  });

  it("comes from flags before the environment before the file", () => {
    const toml = '[nodes]\nlisten = "10.0.0.1:1"';
    const env = { RAMET_REGISTRY_NODES_LISTEN: "10.0.0.2:2" };
    expect(load({ toml }).nodes.listen.port).toBe(1);
    expect(load({ toml, env }).nodes.listen.port).toBe(2);
    expect(load({ toml, env, argv: ["--nodes-listen", "[::]:3"] }).nodes.listen).toEqual({
      host: "::",
      port: 3,
    });
  });

  it.each([
    ["anything but loopback without keys", { toml: 'keys = "off"\nlisten = "0.0.0.0:7070"' }, /without keys/],
    [
      "the nodes' API on anything but loopback without keys",
      { toml: 'keys = "off"\n[api]\nlisten = "0.0.0.0:7073"' },
      /without keys, 0.0.0.0:7073 is refused/,
    ],
    ["half of TLS", { toml: '[tls]\nkey = "/k"' }, /go together/],
    ["an address without a port", { argv: ["--listen", "localhost"] }, /must be HOST:PORT/],
    ["an agent's key", { toml: 'prefix = "/x"' }, /Unrecognized key: "prefix"/],
    ["an unknown flag", { argv: ["--prefix", "/x"] }, /Unknown option '--prefix'/],
  ])("refuses %s", (_name, sources, message) => {
    expect(() => load(sources)).toThrow(message);
    expect(() => load(sources)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});

describe("the registry's example file", () => {
  const text = readFileSync(new URL("../../config/registry.example.toml", import.meta.url), "utf8");

  it("means the defaults, and is accepted with what it has in comments", () => {
    expect(load({ toml: text })).toEqual(load({}));
    expect(load({ toml: text.replaceAll(/^# (\w+ = )/gm, "$1") }).tls?.key).toBe("/etc/ramet/registry.key");
  });

  it("has every key", () => {
    let section = "";
    const keys = text.split("\n").flatMap((line) => {
      section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
      const key = /^(?:# )?(\w+) = /.exec(line)?.[1];
      return key === undefined ? [] : [section === "" ? key : `${section}.${key}`];
    });
    expect(keys).toEqual(listOptions(registryProgram).map(({ key }) => key));
  });
});
