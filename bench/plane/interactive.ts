/** What somebody waits for who uses E2B's client: the first output of a new sandbox, and a command. */
import { Sandbox } from "e2b";
import { mapLimited } from "../../src/lib/limit.js";
import { type Figure, figureOf } from "../figures.js";
import { startPrompt } from "../prompt/prompt.js";
import { emptySlots, fillSlots } from "../scale/claims.js";
import { openCpuMeter } from "../usage.js";
import type { Deployment } from "./deployment.js";

export interface InteractiveOptions {
  readonly rounds: number;
  readonly say: (text: string) => void;
}

export interface Interactive {
  readonly name: string;
  /** Milliseconds from the call of `create` to the first output of `echo`. */
  readonly single: Figure | undefined;
  readonly together: Figure | undefined;
  /** `commands.run("true")` where connections are open already. */
  readonly command: Figure | undefined;
  readonly made?: CommandParts;
}

/** What such a command is made of, in milliseconds of each. */
export interface CommandParts {
  /** Processor time of this program, which is E2B's client. */
  readonly clientMs: number;
  /** Processor time of gateway and agent. */
  readonly daemonsMs: number;
  /** `bash -l -c true`, which is what the client asks for, started by a shell in the sandbox over and over. */
  readonly shellMs: number;
}

export const atOnce = 20;
const commands = 100;
/** As with small requests: what serves for days is compiled, and so is a client that works for a while. */
const warmUp = { sandboxes: 20, commands: 200 };

export async function measureInteractive(
  deployment: Deployment,
  { rounds, say }: InteractiveOptions,
): Promise<Interactive> {
  const { name, api, template } = deployment;
  const [single, together]: [number[], number[]] = [[], []];
  try {
    await fillSlots(api, template, warmUp.sandboxes);
    await claim(deployment, warmUp.sandboxes, 1);
    for (let round = 1; round <= rounds; round++)
      for (const [limit, into] of [
        [1, single],
        [atOnce, together],
      ] as const) {
        say(`plane: first outputs, ${limit} at once, ${name}, round ${round} of ${rounds}`);
        await fillSlots(api, template, atOnce);
        into.push(...(await claim(deployment, atOnce, limit)));
      }
  } finally {
    await emptySlots(api, template);
  }
  const { ms, made } = await runCommands(deployment);
  return {
    name,
    ...{ single: figureOf(single), together: figureOf(together), command: figureOf(ms), made },
  };
}

/** The same of a server that does nothing: what of it is the client's, and the machine's. */
export async function measureAnsweredAtOnce({ rounds, say }: InteractiveOptions): Promise<Interactive> {
  const [single, together]: [number[], number[]] = [[], []];
  await using prompt = await startPrompt();
  const asked = {
    client: { apiKey: `e2b_${"0".repeat(40)}`, apiUrl: prompt.url, sandboxUrl: prompt.url },
    template: "bench",
  };
  await claim(asked, warmUp.sandboxes, 1);
  say("plane: first outputs and commands, answered at once");
  for (let round = 1; round <= rounds; round++) {
    single.push(...(await claim(asked, atOnce, 1)));
    together.push(...(await claim(asked, atOnce, atOnce)));
  }
  const sandbox = await Sandbox.create(asked.template, asked.client);
  await warmCommands(sandbox);
  const ms = await timeCommands(sandbox);
  return {
    name: "answered at once",
    ...{ single: figureOf(single), together: figureOf(together), command: figureOf(ms) },
  };
}

type Asked = Pick<Deployment, "client" | "template">;

/** What was claimed is removed. */
async function claim({ client, template }: Asked, count: number, limit: number): Promise<readonly number[]> {
  const claimed: Sandbox[] = [];
  const one = async () => {
    const startedAt = performance.now();
    const sandbox = await Sandbox.create(template, client);
    claimed.push(sandbox);
    let firstMs: number | undefined;
    const onStdout = () => {
      firstMs ??= performance.now() - startedAt;
    };
    await sandbox.commands.run("echo hello", { onStdout });
    if (firstMs === undefined) throw new Error("echo has said nothing");
    return firstMs;
  };
  try {
    return await mapLimited(Array.from({ length: count }), limit, one);
  } finally {
    await mapLimited(claimed, 4, (sandbox) => sandbox.kill());
  }
}

interface Commands {
  readonly ms: readonly number[];
  readonly made: CommandParts;
}

async function runCommands({ client, template, pids }: Deployment): Promise<Commands> {
  const sandbox = await Sandbox.create(template, client);
  try {
    await warmCommands(sandbox);
    const meter = await openCpuMeter([[process.pid], [...new Set([pids.gateway, pids.agent])]]);
    const ms = await timeCommands(sandbox);
    const [clientMs = 0, daemonsMs = 0] = (await meter.read()).map((seconds) => (seconds * 1000) / commands);
    return { ms, made: { clientMs, daemonsMs, shellMs: await shellMs(sandbox) } };
  } finally {
    await sandbox.kill();
  }
}

async function warmCommands(sandbox: Sandbox): Promise<void> {
  for (let count = 0; count < warmUp.commands; count++) await sandbox.commands.run("true");
}

async function timeCommands(sandbox: Sandbox): Promise<readonly number[]> {
  const ms: number[] = [];
  for (let count = 0; count < commands; count++) {
    const startedAt = performance.now();
    await sandbox.commands.run("true");
    ms.push(performance.now() - startedAt);
  }
  return ms;
}

async function shellMs(sandbox: Sandbox): Promise<number> {
  const loop = `for ((i = 0; i < ${commands}; i++)); do bash -l -c true; done`;
  const { stdout } = await sandbox.commands.run(`a=$EPOCHREALTIME; ${loop}; echo $a $EPOCHREALTIME`);
  const [from = 0, to = 0] = stdout.split(" ").map(Number);
  return ((to - from) * 1000) / commands;
}
