/** The two ways to run: gateway and agent in one process, or a registry and the agent of a node that has joined it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Sandbox } from "e2b";
import { type Api, connectAgent } from "../../src/cli/client.js";
import { type Address, formatAddress } from "../../src/lib/address.js";
import { mapLimited } from "../../src/lib/limit.js";
import { openScope, type Scope } from "../../src/lib/scope.js";
import { waitUntil } from "../../src/lib/signal.js";
import { freeAddress, makeTeam, makeToken, registryAdmin } from "../../test/support/registry-process.js";
import { buildTemplate } from "../ours.js";
import { emptySlots } from "../scale/claims.js";
import { remove } from "../scale/ours.js";
import type { Stage } from "../stage.js";
import { serverWorkload } from "./inside.js";

export const ways = ["one process", "two processes"] as const;
export type WayName = (typeof ways)[number];

export interface Deployment extends AsyncDisposable {
  readonly name: WayName;
  /** Of the registry's REST, and of its gateway. */
  readonly address: Address;
  /** For E2B's client. */
  readonly client: { readonly apiKey: string; readonly apiUrl: string; readonly sandboxUrl: string };
  readonly template: string;
  readonly api: Api;
  /** One process: the same twice. */
  readonly pids: { readonly gateway: number; readonly agent: number };
}

export interface DeployOptions {
  readonly name: WayName;
  /** Of runc and CRIU. */
  readonly prefix: string;
  readonly archive: string;
  /** A directory for CPU profiles. */
  readonly profile: string | undefined;
}

const program = fileURLToPath(new URL("../../../../dist/bin/rametd.js", import.meta.url));
const template = "bench-plane";

export async function deploy(stage: Stage, options: DeployOptions): Promise<Deployment> {
  await using scope = openScope();
  const { name, archive, prefix } = options;
  const place = await placeOf({ ...stage, prefix }, name);
  scope.defer(() => rm(place.runDir, { recursive: true, force: true }));
  const [rest, nodes] = [await freeAddress(), await freeAddress()];
  const started = name === "one process" ? startOne : startTwo;
  const pids = await started(scope, { place, rest, nodes, profile: options.profile });
  const socketPath = join(place.runDir, "agent.sock");
  const api = await connectAgent(
    { socketPath, timeoutMs: 120_000, waitMs: 30_000 },
    AbortSignal.timeout(60_000),
  );
  scope.defer(() => api[Symbol.dispose]());
  scope.defer(() => removeSandboxes(api));
  for await (const _ of api.images.import({ path: archive, name: "bench:latest" }));
  await buildTemplate(api, { name: template, image: stage.image, workload: serverWorkload });
  const url = `http://${formatAddress(rest)}`;
  const apiKey = await makeTeam(registryAdmin(url, place.registryDir), "bench");
  const client = { apiKey, apiUrl: url, sandboxUrl: url };
  await waitUntil(
    "the registry knows the node's template",
    async () => {
      const made = await Sandbox.create(template, client).catch(() => undefined);
      return made === undefined ? undefined : await made.kill();
    },
    { intervalMs: 200, timeoutMs: 60_000 },
  );
  const owned = scope.move();
  return {
    ...{ name, address: rest, client, template, api, pids },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/** They would outlive their agent, and nobody would find them: its directory goes with it. */
async function removeSandboxes(api: Api): Promise<void> {
  const { sandboxes } = await api.sandboxes.list({});
  await mapLimited(sandboxes, 4, ({ id }) => remove(api, id));
  await emptySlots(api, template).catch(() => {});
}

interface Place {
  readonly dataDir: string;
  readonly runDir: string;
  readonly registryDir: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Both have what is theirs apart, in the one containerd. */
async function placeOf(
  { root, run, prefix }: Pick<Stage, "root" | "run" | "prefix">,
  name: WayName,
): Promise<Place> {
  const short = name === "one process" ? "one" : "two";
  const dataDir = join(root, `plane-${short}`);
  const runDir = join(run, short);
  await mkdir(runDir, { recursive: true, mode: 0o711 });
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const env = {
    RAMET_DATA_DIR: dataDir,
    RAMET_RUN_DIR: runDir,
    RAMET_PREFIX: prefix,
    RAMET_CONTAINERD_ADDRESS: join(run, "containerd/containerd.sock"),
    RAMET_CONTAINERD_STATE_DIR: join(run, "containerd"),
    RAMET_CONTAINERD_NAMESPACE: `plane-${short}`,
    UV_THREADPOOL_SIZE: "16",
  };
  return { dataDir, runDir, registryDir: join(dataDir, "registry"), env };
}

interface Starting {
  readonly place: Place;
  readonly rest: Address;
  readonly nodes: Address;
  readonly profile: string | undefined;
}

async function startOne(scope: Scope, { place, rest, nodes, profile }: Starting) {
  const env = {
    ...place.env,
    RAMET_REGISTRY_DATA_DIR: place.registryDir,
    RAMET_REGISTRY_KEYS: "on",
    RAMET_REGISTRY_LISTEN: formatAddress(rest),
    RAMET_REGISTRY_NODES_LISTEN: formatAddress(nodes),
  };
  const log = join(place.dataDir, "up.log");
  const pid = await startDaemon(scope, { words: ["up"], env, log, profile, ready: "the registry is ready" });
  return { gateway: pid, agent: pid };
}

async function startTwo(scope: Scope, { place, rest, nodes, profile }: Starting) {
  const listen = ["--listen", formatAddress(rest), "--nodes-listen", formatAddress(nodes)];
  const gateway = await startDaemon(scope, {
    words: ["registry", "--data-dir", place.registryDir, ...listen],
    env: {},
    ...{ log: join(place.dataDir, "registry.log"), profile, ready: "the registry is ready" },
  });
  const token = await makeToken(registryAdmin(`http://${formatAddress(rest)}`, place.registryDir));
  const env = {
    ...place.env,
    RAMET_JOIN: formatAddress(nodes),
    RAMET_JOIN_TOKEN: token,
    RAMET_LISTEN: formatAddress(await freeAddress()),
  };
  const log = join(place.dataDir, "agent.log");
  const agent = await startDaemon(scope, {
    ...{ words: ["agent"], env, log, profile, ready: "serving the registry" },
  });
  return { gateway, agent };
}

interface Daemon {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly log: string;
  readonly profile: string | undefined;
  /** What it says once it serves. */
  readonly ready: string;
}

async function startDaemon(scope: Scope, { words, env, log, profile, ready }: Daemon): Promise<number> {
  const nodeOptions = profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile];
  const fd = openSync(log, "w");
  const child = spawn(process.execPath, [...nodeOptions, program, ...words], {
    env: { ...process.env, ...env },
    stdio: ["ignore", fd, fd],
  });
  closeSync(fd);
  const closed = once(child, "close");
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  scope.defer(async () => {
    child.kill("SIGTERM");
    const force = setTimeout(kill, endMs);
    await closed;
    clearTimeout(force);
    process.off("exit", kill);
  });
  const said = async () => {
    const text = await readFile(log, "utf8");
    if (child.exitCode !== null) throw new Error(`rametd ${words[0]} has ended: ${text.slice(-2000)}`);
    return text.includes(ready) ? true : undefined;
  };
  await waitUntil(`rametd ${words[0]}`, said, { intervalMs: 50, timeoutMs: 60_000 });
  return child.pid ?? 0;
}

const endMs = 15_000;
