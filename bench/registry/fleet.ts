/** Many light agents in a few processes. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Address } from "../../src/lib/address.js";
import { makeToken, type RegistryProcess } from "../../test/support/registry-process.js";
import type { AgentsOrder, FromAgents, ToAgents } from "./agents.js";

export interface LightFleet extends AsyncDisposable {
  readonly pids: readonly number[];
  /** What each node has, by its id. */
  inventory(): Promise<ReadonlyMap<string, readonly string[]>>;
}

export interface FleetOptions {
  readonly count: number;
  readonly processes: number;
  readonly template: string;
  readonly slots: number;
  readonly nodes: Address;
  readonly directory: string;
  /** Of Node. */
  readonly nodeOptions: readonly string[];
}

const program = fileURLToPath(new URL("agents.js", import.meta.url));
const port = 7072;
const graceMs = 5_000;

/** All of 127.0.0.0/8 is this machine's: each agent has an address of its own. */
const addressOf = (index: number): Address => ({
  host: `127.77.${Math.floor(index / 250)}.${(index % 250) + 1}`,
  port,
});

export async function startFleet(registry: RegistryProcess, options: FleetOptions): Promise<LightFleet> {
  const { count, processes, template, slots, nodes, directory, nodeOptions } = options;
  const agents: AgentsOrder["agents"][number][] = [];
  for (let index = 0; index < count; index++)
    agents.push({
      ...{ name: `light-${index}`, address: addressOf(index), token: await makeToken(registry) },
      dataDir: join(directory, `agent-${index}`),
    });
  const children = Array.from({ length: processes }, () => fork(program, { execArgv: [...nodeOptions] }));
  const dispose = () => endAll(children);
  try {
    const shares = children.map((_, at) => agents.filter((_, index) => index % processes === at));
    await Promise.all(
      children.map((child, at) =>
        ask(child, { start: { registry: nodes, template, slots, agents: shares[at] ?? [] } }),
      ),
    );
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
  return {
    pids: children.map(({ pid }) => pid ?? 0),
    async inventory() {
      const answers = await Promise.all(children.map((child) => ask(child, { ask: "inventory" })));
      return new Map(answers.flatMap((it) => ("inventory" in it ? Object.entries(it.inventory) : [])));
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function ask(child: ChildProcess, message: ToAgents): Promise<FromAgents> {
  const gone = new AbortController();
  const ended = once(child, "exit", { signal: gone.signal }).then(() => {
    throw new Error("a process of agents has ended");
  });
  child.send(message);
  try {
    const [answer] = (await Promise.race([once(child, "message"), ended])) as [FromAgents];
    return answer;
  } finally {
    gone.abort();
    await ended.catch(() => {});
  }
}

async function endAll(children: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, "exit");
      const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
      child.disconnect();
      await closed;
      clearTimeout(force);
    }),
  );
}
