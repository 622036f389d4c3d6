/** The built agent as a process of its own, as a user has it: flags, socket, signals, crashes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Api, connectAgent } from "../../src/cli/client.js";
import { connectContainerd } from "../../src/containerd/client.js";
import { type Address, formatAddress } from "../../src/lib/address.js";
import { labels } from "../../src/node/deps.js";
import { connectForTest, testRuntime } from "./containerd.js";
import { makeSlowPrefix } from "./slow-dump.js";

export interface TestAgent extends AsyncDisposable {
  readonly dataDir: string;
  readonly namespace: string;
  readonly socketPath: string;
  /** Starts the daemon; connected once it answers. */
  start(): Promise<Api>;
  /** Arms failpoints in the daemon that runs; none with an empty text, as after each start. */
  arm(failpoints: string): void;
  /** Waits until the daemon has ended by itself, as a failpoint makes it. Gives the signal that ended it. */
  ended(): Promise<NodeJS.Signals | null>;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** The next dump takes 5 s longer. */
  readonly slowDump: () => void;
}

const daemon = fileURLToPath(new URL("../../dist/bin/rametd.js", import.meta.url));

/** Where the registry in the agent's process listens. It wants no keys. */
export interface TestRegistryAddresses {
  readonly rest: Address;
  readonly nodes: Address;
}

/**
 * `name` is a short word that no other test file uses. What an earlier run left under it is removed first. With
 * addresses for a registry, it is `rametd up`.
 */
export async function openTestAgent(name: string, registry?: TestRegistryAddresses): Promise<TestAgent> {
  const runtime = testRuntime();
  const namespace = `agent-${name}`;
  const dataDir = join(runtime.root, namespace);
  const runDir = join(dataDir, "run");
  const socketPath = join(runDir, "agent.sock");
  await empty(namespace, dataDir);
  mkdirSync(runDir, { recursive: true, mode: 0o711 });
  let child: ChildProcess | undefined;
  const { prefix, slow } = makeSlowPrefix(join(dataDir, "prefix"));
  let api: Api | undefined;

  const flags: Flags = {
    "data-dir": dataDir,
    "run-dir": runDir,
    prefix,
    "containerd-address": runtime.address,
    "containerd-namespace": namespace,
    "log-level": "warn",
  };

  const armed = join(dataDir, "armed");
  const arm = (failpoints: string) => writeFileSync(armed, failpoints);

  async function ended(): Promise<NodeJS.Signals | null> {
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    api?.[Symbol.dispose]();
    return child.signalCode;
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    child?.kill(signal);
    await ended();
  }

  return {
    dataDir,
    namespace,
    socketPath,
    async start() {
      arm("");
      const { words, env } = registry === undefined ? agentCommand(flags) : upCommand(flags, registry);
      child = spawn(process.execPath, [daemon, ...words], {
        env: { ...process.env, ...env, RAMET_FAILPOINTS: `@${armed}` },
        stdio: ["ignore", "ignore", "inherit"],
      });
      api = await connectAgent(
        { socketPath, timeoutMs: 60_000, waitMs: 30_000 },
        AbortSignal.timeout(60_000),
      );
      return api;
    },
    arm,
    ended,
    kill,
    slowDump: slow,
    async [Symbol.asyncDispose]() {
      await kill("SIGKILL");
      await empty(namespace, dataDir);
    },
  };
}

type Flags = Readonly<Record<string, string>>;

const agentCommand = (flags: Flags) => ({
  words: ["agent", ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])],
  env: {},
});

/** It has no flags of its own, but both parts' variables. */
function upCommand(flags: Flags, { rest, nodes }: TestRegistryAddresses) {
  const variables = Object.entries(flags).map(([flag, value]) => [
    `RAMET_${flag.toUpperCase().replaceAll("-", "_")}`,
    value,
  ]);
  const env = {
    ...Object.fromEntries(variables),
    RAMET_REGISTRY_DATA_DIR: join(flags["data-dir"] ?? "", "registry"),
    RAMET_REGISTRY_LISTEN: formatAddress(rest),
    RAMET_REGISTRY_NODES_LISTEN: formatAddress(nodes),
  };
  return { words: ["up"], env };
}

async function empty(namespace: string, dataDir: string): Promise<void> {
  (await connectForTest(namespace)).close();
  rmSync(dataDir, { recursive: true, force: true });
}

/** What containerd has of an agent, for a comparison of before and after. */
export async function holdings(namespace: string) {
  const containerd = await connectContainerd({ address: testRuntime().address, namespace });
  try {
    const all = (await containerd.containers.list([])).map(({ id }) => id).sort();
    const shims = await containerd.sharedShims.list(labels.shim);
    const containers = all.filter((id) => !shims.includes(id));
    const tasks = (await containerd.tasks.list())
      .filter(({ id }) => !shims.includes(id))
      .map(({ id, status }) => `${id} ${status}`)
      .sort();
    const ours = ['labels."ramet.sandbox"', 'labels."ramet.checkpoint"'];
    const snapshots = (await containerd.snapshots.list(ours)).map(({ key }) => key).sort();
    return { shims, containers, tasks, snapshots };
  } finally {
    containerd.close();
  }
}
