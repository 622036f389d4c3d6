/** `rametd registry` as a process of its own, to be measured and killed. Needs the build. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Address, formatAddress } from "../../src/lib/address.js";

export interface RegistryProcessOptions {
  readonly dataDir: string;
  /** The same for one start after the other: nodes come back to it. */
  readonly rest: Address;
  readonly nodes: Address;
  /** Of Node, e.g. `--cpu-prof`. */
  readonly nodeOptions?: readonly string[];
  /** When a silent node is lost. Default: the registry's own. */
  readonly lostAfterS?: number;
  /** Files. Its certificate is for localhost. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export interface RegistryAdmin {
  readonly url: string;
  /** By the key that a registry keeps for its administrator. Throws what it says. */
  admin<T>(method: "GET" | "POST" | "PATCH", path: string, body?: object): Promise<T>;
}

export interface RegistryProcess extends RegistryAdmin, AsyncDisposable {
  readonly pid: number;
  /** Resolves once it is gone. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

// It is the same for the sources and for what bench/ builds of them.
const checkout = new URL(
  import.meta.url.includes("/bench/build/") ? "../../../../" : "../../",
  import.meta.url,
);
const program = fileURLToPath(new URL("dist/bin/rametd.js", checkout));

export async function startRegistryProcess(options: RegistryProcessOptions): Promise<RegistryProcess> {
  const { dataDir, rest, nodes, nodeOptions = [], lostAfterS, tls } = options;
  const listen = ["--listen", formatAddress(rest), "--nodes-listen", formatAddress(nodes)];
  const lost = lostAfterS === undefined ? [] : ["--nodes-lost-after-s", String(lostAfterS)];
  const secured = tls === undefined ? [] : ["--tls-certificate", tls.certificate, "--tls-key", tls.key];
  const args = [...nodeOptions, program, "registry", "--data-dir", dataDir, ...listen, ...lost, ...secured];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const closed = once(child, "close");
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  void closed.then(() => process.off("exit", kill));
  await ready(child);
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    child.kill(signal);
    await closed;
  };
  return {
    ...registryAdmin(
      tls === undefined ? `http://${formatAddress(rest)}` : `https://localhost:${rest.port}`,
      dataDir,
    ),
    ...{ pid: child.pid ?? 0, end },
    [Symbol.asyncDispose]: () => end("SIGKILL"),
  };
}

export function registryAdmin(url: string, dataDir: string): RegistryAdmin {
  return {
    url,
    async admin(method, path, body) {
      const key = (await readFile(join(dataDir, "admin.key"), "utf8")).trim();
      const answer = await fetch(`${url}/admin/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as never;
    },
  };
}

/** What it logs is read to its end: a process whose pipe is full stands still. */
function ready(child: ChildProcessByStdio<null, null, Readable>): Promise<void> {
  let said = "";
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      said = `${said}${line}\n`.slice(-4000);
      if (line.includes("the registry is ready")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`rametd registry has ended with ${code}: ${said}`)));
  });
}

/** A port of the loopback that nobody has now. */
export async function freeAddress(host = "127.0.0.1"): Promise<Address> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return { host, port: typeof address === "object" && address !== null ? address.port : 0 };
}

/** A team without limits, and its key. */
export async function makeTeam(registry: RegistryAdmin, name: string): Promise<string> {
  await registry.admin("POST", "/teams", { name });
  const { key } = await registry.admin<{ key: string }>("POST", `/teams/${name}/keys`, {});
  return key;
}

/** Lets one node join. */
export async function makeToken(registry: RegistryAdmin): Promise<string> {
  return (await registry.admin<{ token: string }>("POST", "/tokens", {})).token;
}
