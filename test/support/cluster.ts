/** Several nodes and a registry on this machine: scripts/dev-cluster, for tests. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Shape } from "../../src/cli/shapes.js";
import { waitUntil } from "../../src/lib/signal.js";
import { type RunResult, runCli } from "./cli.js";

const script = fileURLToPath(new URL("../../scripts/dev-cluster", import.meta.url));
/** Not those of a cluster that a developer has. */
const directories = { run: "/run/ramet-test-cluster", root: "/var/lib/ramet-test-cluster" } as const;
const port = 17_070;
/** Where its registry listens for nodes. */
export const registryOfNodes = { host: "10.87.0.1", port: 7071 } as const;
/** Longer than a node takes to be unreachable, and to be found to be cut off. */
const lostAfterS = 13;

export interface Cluster extends AsyncDisposable {
  /** Of the registry's REST. */
  readonly url: string;
  readonly root: string;
  /** `ramet` against the registry. */
  ramet(...words: readonly string[]): Promise<RunResult>;
  nodes(): Promise<readonly Shape<"node">[]>;
  /** Waits until the node is in one of these states of health. */
  becomes(name: string, ...healths: readonly Shape<"node">["health"][]): Promise<void>;
  /** What the agent of node K has logged. */
  logOf(k: number): Promise<string>;
  /** Ids of the sandboxes that node K has, by its own word. */
  onNode(k: number): Promise<readonly string[]>;
  /** Of node K, 1 and up. */
  node(k: number, verb: "kill" | "start" | "cut" | "mend"): Promise<void>;
  /** Nodes are made until there are so many. */
  grow(count: number): Promise<void>;
}

/**
 * The same that runs already, if it does. Disposing of it removes all of it. With a domain it serves that, by TLS, and
 * who calls it is to trust what is below its root in tls/certificate.pem.
 */
export async function openCluster(count: number, domain?: string): Promise<Cluster> {
  const image = process.env["RAMET_TEST_IMAGE"];
  if (image === undefined) throw new Error("RAMET_TEST_IMAGE names no image; scripts/test does");
  const places = ["--run", directories.run, "--root", directories.root, "--port", String(port)];
  const served = domain === undefined ? [] : ["--domain", domain];
  const common = [...places, ...served, "--disk", "2G", "--lost-after", String(lostAfterS)];
  const cluster = (...words: readonly string[]) => execa(script, [...common, ...words], { timeout: 900_000 });
  const grow = async (to: number) => void (await cluster("--image", image, String(to)));
  await grow(count);
  const url = domain === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const key = `${directories.root}/registry/admin.key`;
  const ramet: Cluster["ramet"] = (...words) =>
    runCli(["--registry", url, "--admin-key-file", key, ...words]);
  const nodes = async () =>
    JSON.parse((await ramet("node", "ls", "--json")).stdout) as readonly Shape<"node">[];
  return {
    url,
    root: directories.root,
    ramet,
    nodes,
    grow,
    async becomes(name, ...healths) {
      const holds = async () =>
        (await nodes()).some((node) => node.name === name && healths.includes(node.health));
      await waitUntil(`${name} is ${healths.join(" or ")}`, holds, { intervalMs: 200, timeoutMs: 60_000 });
    },
    logOf: (k) => readFile(`${directories.root}/log/agent-${k}.log`, "utf8"),
    async onNode(k) {
      const socket = `${directories.run}/n${k}/agent.sock`;
      const { stdout } = await runCli(["--socket", socket, "ps", "--all", "--json"]);
      return (JSON.parse(stdout) as readonly Shape<"sandbox">[]).map(({ id }) => id);
    },
    node: async (k, verb) => void (await cluster("--node", String(k), verb)),
    [Symbol.asyncDispose]: async () => void (await cluster("--down")),
  };
}

/** The same script for a cluster in other directories. */
export const another = (root: string, ...words: readonly string[]) =>
  execa(script, ["--run", join(root, "run"), "--root", root, ...words], { reject: false, timeout: 60_000 });
