/** What runs the agent elsewhere: systemd's units and the DaemonSet's manifests. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse as parseToml } from "smol-toml";
import { afterAll, describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import { fileSchema } from "../../src/config/schema.js";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

interface Ran {
  readonly code: number | null;
  readonly output: string;
}
function run(command: string, args: readonly string[], cwd = root): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    // Bash takes a socket there for a login from elsewhere, and reads its startup files.
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  return { code: status, output: `${stdout}${stderr}${error?.message ?? ""}` };
}

describe("systemd's units", () => {
  const units = readdirSync(join(root, "systemd")).filter((name) => name.endsWith(".service"));
  const hasTool = run("systemd-analyze", ["--version"]).code === 0;

  it.skipIf(!hasTool)("pass systemd-analyze verify (needs the package systemd)", () => {
    const paths = units.map((name) => join("systemd", name));
    expect(units).toContain("rametd-agent.service");
    expect(run("systemd-analyze", ["verify", ...paths])).toEqual({ code: 0, output: "" });
  });

  it("start the containerd that scripts/runtime starts", () => {
    const print =
      '. scripts/lib/instance.sh; . scripts/lib/containerd-config.sh; run=/run/ramet root=/var/lib/ramet; containerd_config "$@"';
    expect(run("bash", ["-euc", print])).toEqual({ code: 0, output: read("systemd/containerd.toml") });
  });

  it("give the agent the directories of its defaults", () => {
    const unit = read("systemd/rametd-agent.service");
    const { data_dir, run_dir, prefix } = fileSchema.parse({});
    expect(unit).toContain(`\nStateDirectory=${data_dir.replace("/var/lib/", "")}\n`);
    expect(unit).toContain(`\nRuntimeDirectory=${run_dir.replace("/run/", "")}\n`);
    expect(unit).toContain(`\nEnvironment=PATH=${prefix}/bin:`);
  });
});

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
}

describe("the DaemonSet's manifests", () => {
  const kustomization = parseYaml(read("daemonset/base/kustomization.yaml")) as {
    readonly namespace: string;
    readonly resources: readonly string[];
  };
  const manifests = new Map(
    kustomization.resources.map((name) => [name, parseYaml(read(`daemonset/base/${name}`)) as Manifest]),
  );
  const work = mkdtempSync(join(tmpdir(), "ramet-manifests-"));
  afterAll(() => rmSync(work, { recursive: true }));
  symlinkSync(join(root, "node_modules"), join(work, "node_modules"));
  writeFileSync(join(work, "package.json"), '{ "type": "module" }');

  /** Complaints of the compiler about a manifest as a literal of Kubernetes' own type: unknown fields, too. */
  function check(name: string, { apiVersion, kind }: Manifest, literal: unknown): Ran {
    const group = apiVersion.includes("/") ? apiVersion : `core/${apiVersion}`;
    const source = `import type { ${kind} } from "kubernetes-types/${group}";\nexport const manifest: ${kind} = ${JSON.stringify(literal, null, 1)};\n`;
    writeFileSync(join(work, `${name}.ts`), source);
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "preserve", "--target", "es2023"];
    return run(join(root, "node_modules/.bin/tsc"), [...options, `${name}.ts`], work);
  }

  it.each([...manifests])("%s has Kubernetes' shape", (name, manifest) => {
    expect(check(name, manifest, manifest)).toEqual({ code: 0, output: "" });
  });

  it("would be found out with a field that does not exist", () => {
    const manifest = manifests.get("daemonset.yaml") as Manifest & { readonly spec: object };
    const wrong = { ...manifest, spec: { ...manifest.spec, minReadySecond: 1 } };
    expect(check("wrong", manifest, wrong).output).toContain("minReadySecond");
  });

  it("are all listed, and in one namespace", () => {
    const files = readdirSync(join(root, "daemonset/base")).filter((name) => name !== "kustomization.yaml");
    expect([...manifests.keys()].sort()).toEqual(files.sort());
    for (const { kind, metadata } of manifests.values())
      expect(kind === "Namespace" ? metadata.name : metadata.namespace).toBe(kustomization.namespace);
  });

  it("configure the agent and its containerd as elsewhere", () => {
    const data = manifests.get("configmap.yaml")?.data ?? {};
    expect(data["containerd.toml"]).toBe(read("systemd/containerd.toml"));
    expect(() => fileSchema.parse(parseToml(data["agent.toml"] ?? ""))).not.toThrow();
  });
});
