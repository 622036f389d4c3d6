/** Many idle streams: each follows a command that says nothing, on a connection of its own. */
import { Agent, type ClientRequest, request } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { Sandbox } from "e2b";
import { mapLimited } from "../../src/lib/limit.js";
import type { Deployment } from "./deployment.js";
import { type Growth, growthOf } from "./memory.js";
import { envdPort, makeSandbox, type RawSandbox } from "./sandbox.js";

export interface Streams {
  readonly name: string;
  readonly count: number;
  /** Of gateway and agent, or of the one process. */
  readonly growth: readonly Growth[];
}

/** A guest takes 256 connections. */
const perSandbox = 200;
const settleMs = 2_000;
const atOnce = 20;

export async function measureStreams(deployment: Deployment, count: number): Promise<Streams> {
  const { name, client, pids } = deployment;
  const followed: { readonly sandbox: RawSandbox; readonly pid: number }[] = [];
  const agent = new Agent({ keepAlive: true });
  try {
    for (let made = 0; made < count; made += perSandbox) {
      const sandbox = await makeSandbox(deployment);
      const connected = await Sandbox.connect(sandbox.id, client);
      const { pid } = await connected.commands.run("sleep 600", { background: true, timeoutMs: 0 });
      followed.push({ sandbox, pid });
    }
    const all = Array.from({ length: count }, (_, index) => followed[Math.floor(index / perSandbox)]);
    const { result, growth } = await growthOf([...new Set([pids.gateway, pids.agent])], async () => {
      const asked = await mapLimited(all, atOnce, async (one) => {
        if (one === undefined) throw new Error("a stream of no sandbox");
        return await follow(deployment, agent, one);
      });
      await wait(settleMs);
      return asked;
    });
    for (const asked of result) asked.destroy();
    return { name, count, growth };
  } finally {
    agent.destroy();
    for (const { sandbox } of followed) await Sandbox.kill(sandbox.id, client);
  }
}

/** Once the stream says that it has begun. */
function follow(
  { client }: Deployment,
  agent: Agent,
  { sandbox, pid }: { readonly sandbox: RawSandbox; readonly pid: number },
): Promise<ClientRequest> {
  const message = Buffer.from(JSON.stringify({ process: { pid } }));
  const envelope = Buffer.alloc(5);
  envelope.writeUInt32BE(message.length, 1);
  const named = sandbox.headers(envdPort).filter((word) => word !== "-H");
  const headers = Object.fromEntries(named.map((header) => header.split(": ") as [string, string]));
  return new Promise((resolve, reject) => {
    const asked = request(`${client.sandboxUrl}/process.Process/Connect`, {
      ...{ agent, method: "POST" },
      headers: { ...headers, "content-type": "application/connect+json", "connect-protocol-version": "1" },
    });
    asked.on("error", reject);
    asked.once("response", (response) => {
      if (response.statusCode === 200) response.once("data", () => resolve(asked)).on("error", () => {});
      else reject(new Error(`a stream was answered with ${response.statusCode}`));
    });
    asked.end(Buffer.concat([envelope, message]));
  });
}
