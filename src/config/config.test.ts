import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeOptions, loadAgentConfig } from "./load.js";
import { listOptions as optionsOf } from "./options.js";
import { agentProgram, nameOfHost } from "./schema.js";

const listOptions = () => optionsOf(agentProgram);

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ramet-config-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function load({ toml = "", env = {}, argv = [] as string[] }) {
  const path = join(dir, "agent.toml");
  writeFileSync(path, toml);
  return loadAgentConfig({ argv, env: { RAMET_CONFIG: path, ...env } });
}
const defaults = () => load({});

describe("configuration", () => {
  it("has a default for everything", () => {
    expect(defaults()).toEqual({
      dataDir: "/var/lib/ramet",
      runDir: "/run/ramet",
      prefix: "/opt/ramet",
      socket: "/run/ramet/agent.sock",
      logLevel: "info",
      containerd: {
        address: "/run/ramet/containerd/containerd.sock",
        namespace: "ramet",
        stateDir: "/run/ramet/containerd",
      },
      restoreParallelism: 2 * availableParallelism(),
      sandboxesPerShim: 16,
      hostLimits: "raise",
      slotMemoryBytes: Math.floor(totalmem() / 4),
      memory: { sharing: "on" },
      operationsWaitingMax: 100,
      ids: { base: 100_000, size: 65_536 },
      failpoints: "",
    });
  });

  it.each([
    ["file", { toml: '[containerd]\nnamespace = "a"' }, "a"],
    [
      "environment over file",
      { toml: '[containerd]\nnamespace = "a"', env: { RAMET_CONTAINERD_NAMESPACE: "b" } },
      "b",
    ],
    [
      "flag over environment",
      { env: { RAMET_CONTAINERD_NAMESPACE: "b" }, argv: ["--containerd-namespace", "c"] },
      "c",
    ],
    ["an empty variable is none", { env: { RAMET_CONTAINERD_NAMESPACE: "" } }, "ramet"],
  ])("takes the %s", (_name, sources, namespace) =>
    expect(load(sources).containerd.namespace).toBe(namespace),
  );

  it("joins a registry when it is named, with a token that is in no file", () => {
    expect(defaults().membership).toBeUndefined();
    const argv = ["--join", "registry:7071", "--name", "n1", "--token-file", "-"];
    expect(load({ argv, env: { RAMET_JOIN_TOKEN: "rmt_x" } }).membership).toEqual({
      registry: { host: "registry", port: 7071 },
      name: "n1",
      listen: { host: "127.0.0.1", port: 7072 },
      address: "127.0.0.1:7072",
      tokenFile: "-",
      token: "rmt_x",
    });
    const reached = load({ argv: [...argv, "--listen", "0.0.0.0:1", "--address", "n1.example:1"] });
    expect(reached.membership).toMatchObject({
      listen: { host: "0.0.0.0", port: 1 },
      address: "n1.example:1",
    });
  });

  it.each([
    ["Web-01.Example", "web-01.example"],
    ["-x", "x"],
    ["ünï", "n-"],
    ["...", "node"],
    ["", "node"],
  ])("makes a node's name of the host name %j", (host, name) => expect(nameOfHost(host)).toBe(name));

  it("lets paths follow the run directory, and numbers come as text", () => {
    const config = load({
      toml: 'run_dir = "/run/x"',
      env: { RAMET_RESTORE_PARALLELISM: "7", RAMET_FAILPOINTS: "pause.dumped=kill" },
    });
    expect(config.socket).toBe("/run/x/agent.sock");
    expect(config.containerd.stateDir).toBe("/run/x/containerd");
    expect(config.restoreParallelism).toBe(7);
    expect(config.failpoints).toBe("pause.dumped=kill");
  });

  it.each([
    ["an unknown key", { toml: "nonsense = 1" }, /Unrecognized key: "nonsense"/],
    [
      "an unknown key in a section",
      { toml: "[containerd]\nadress = '/x'" },
      /containerd: Unrecognized key: "adress"/,
    ],
    ["a failpoint in the file", { toml: "failpoints = 'x'" }, /Unrecognized key/],
    [
      "a relative path",
      { toml: "data_dir = 'x'" },
      /data_dir: must be an absolute path \(from .*agent.toml\)/,
    ],
    ["a bad variable", { env: { RAMET_RUN_DIR: "x" } }, /run_dir: .* \(from RAMET_RUN_DIR\)/],
    ["a bad flag value", { argv: ["--restore-parallelism", "many"] }, /\(from --restore-parallelism\)/],
    ["no restores at all", { argv: ["--restore-parallelism", "0"] }, /restore.parallelism: Too small/],
    ["an unknown flag", { argv: ["--data", "/x"] }, /Unknown option '--data'/],
    ["an argument", { argv: ["start"] }, /start/],
    [
      "a section that is no table",
      { toml: "containerd = 3", argv: ["--containerd-namespace", "x"] },
      /containerd: /,
    ],
    ["no TOML", { toml: "= 1" }, /cannot read the configuration/],
    ["a socket path that is too long", { toml: `run_dir = "/${"r".repeat(100)}"` }, /too long for a socket/],
    ["ids beyond the last", { toml: "[user_namespace]\nbase = 4294000000\nsize = 1000000" }, /ends beyond/],
    ["a token among the arguments", { argv: ["--token", "rmt_x"] }, /shown to everybody/],
    ["a token among the arguments", { argv: ["--join-token=rmt_x"] }, /shown to everybody/],
    ["a registry without a port", { argv: ["--join", "registry"] }, /must be HOST:PORT/],
    ["a node that nobody can call", { argv: ["--join", "r:1", "--listen", "[::]:1"] }, /no place to call/],
    ["an unknown level", { toml: "log_level = 'loud'" }, /log_level/],
  ])("refuses %s", (_name, sources, message) => {
    expect(() => load(sources)).toThrow(message);
    expect(() => load(sources)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });

  it("refuses a file that was named and is missing", () =>
    expect(() => loadAgentConfig({ argv: ["--config", join(dir, "none.toml")], env: {} })).toThrow(
      /none.toml/,
    ));
});

describe("the example file", () => {
  const text = readFileSync(new URL("../../config/agent.example.toml", import.meta.url), "utf8");

  it("has every key, each with a comment above it", () => {
    const keys: string[] = [];
    let section = "";
    let previous = "";
    for (const line of text.split("\n")) {
      section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
      const key = /^(?:# )?(\w+) = /.exec(line)?.[1];
      if (key !== undefined) {
        keys.push(section === "" ? key : `${section}.${key}`);
        expect(previous, line).toMatch(/^# /);
      }
      previous = line;
    }
    expect(keys).toEqual(listOptions().map((option) => option.key));
  });

  it("means the defaults", () => expect(load({ toml: text })).toEqual(defaults()));

  it("is accepted with what it has in comments", () => {
    const all = text.replaceAll(/^# (\w+ = )/gm, "$1");
    expect(load({ toml: all }).restoreParallelism).toBe(4);
  });
});

describe("listOptions", () => {
  it("describes each, with a variable and a flag of its own", () => {
    const options = listOptions();
    for (const { description } of options) expect(description).not.toBe("");
    expect(new Set(options.map((o) => o.flag)).size).toBe(options.length);
    const numbers = options.filter((o) => o.isNumber).map((o) => o.key);
    expect(numbers).toEqual([
      "restore.parallelism",
      "shim.sandboxes",
      "slots.memory_mib",
      "limits.operations_waiting_max",
      "user_namespace.base",
      "user_namespace.size",
    ]);
    expect(describeOptions(agentProgram).join("\n")).toContain("--containerd-address TEXT");
  });
});
