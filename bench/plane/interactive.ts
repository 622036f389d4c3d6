/** What somebody waits for who uses E2B's client: the first output of a new sandbox, and a command. */
import { Sandbox } from "e2b";
import { mapLimited } from "../../src/lib/limit.js";
import { type Figure, figureOf } from "../figures.js";
import { emptySlots, fillSlots } from "../scale/claims.js";
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
}

export const atOnce = 20;
const commands = 100;

export async function measureInteractive(
  deployment: Deployment,
  { rounds, say }: InteractiveOptions,
): Promise<Interactive> {
  const { name, api, template } = deployment;
  const [single, together]: [number[], number[]] = [[], []];
  try {
    await fillSlots(api, template, 4);
    await claim(deployment, 4, 1);
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
  return {
    name,
    ...{ single: figureOf(single), together: figureOf(together) },
    command: figureOf(await runCommands(deployment)),
  };
}

/** What was claimed is removed. */
async function claim(
  { client, template }: Deployment,
  count: number,
  limit: number,
): Promise<readonly number[]> {
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

async function runCommands({ client, template }: Deployment): Promise<readonly number[]> {
  const sandbox = await Sandbox.create(template, client);
  const ms: number[] = [];
  try {
    // The first ones open connections.
    for (let count = -10; count < commands; count++) {
      const startedAt = performance.now();
      await sandbox.commands.run("true");
      if (count >= 0) ms.push(performance.now() - startedAt);
    }
    return ms;
  } finally {
    await sandbox.kill();
  }
}
