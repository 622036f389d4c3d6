/** `POST /v2/sandboxes` from warm slots of one real node, keys on: `rametd up`, as scripts/bench has started it. */
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { loadavg } from "node:os";
import { join } from "node:path";
import { readAddress } from "../../src/lib/address.js";
import { mapLimited } from "../../src/lib/limit.js";
import { makeTeam, registryAdmin } from "../../test/support/registry-process.js";
import { type Figure, figureOf } from "../figures.js";
import { buildTemplate } from "../ours.js";
import { startPrompt } from "../prompt/prompt.js";
import { emptySlots, fillSlots } from "../scale/claims.js";
import type { Stage } from "../stage.js";
import { workloads } from "../workload.js";
import { type CreateLoad, createMany } from "./creates.js";

export interface WarmOptions {
  readonly rounds: number;
  /** Slots that are claimed at once. */
  readonly atOnce: number;
}

export interface WarmResult {
  readonly atOnce: number;
  /** Milliseconds of creates one after another. */
  readonly single: Figure | undefined;
  readonly together: Figure | undefined;
  /** The same client and as many requests, of a server that answers at once. */
  readonly prompt: Figure | undefined;
  readonly load: number;
}

const template = "bench-registry";
const oneByOne = 25;
/** What no round is shorter than. */
const boundMs = 60_000;

export async function measureWarm(stage: Stage, { rounds, atOnce }: WarmOptions): Promise<WarmResult> {
  const { api, image, root, say } = stage;
  const admin = registryAdmin(await findRegistry(root), join(root, "registry"));
  const key = await makeTeam(admin, "bench");
  const [workload = { key: "", name: "", memoryBytes: 0 }] = workloads;
  await buildTemplate(api, { name: template, image, workload });
  const [single, together, prompt]: [number[], number[], number[]] = [[], [], []];
  await using answering = await startPrompt();
  try {
    // One to warm up.
    for (let round = 0; round <= rounds; round++) {
      say(`registry: claims of warm slots, round ${round} of ${rounds}`);
      for (const [count, at, into] of [
        [oneByOne, 1, single],
        [atOnce, atOnce, together],
      ] as const) {
        await fillSlots(api, template, count);
        const load = { url: admin.url, key, template, atOnce: at, forMs: boundMs, count };
        const ms = await claim(load);
        if (round > 0) into.push(...ms);
      }
      const floor = { url: answering.url, key, template, atOnce, forMs: boundMs, count: atOnce };
      const { ms } = await createMany(floor);
      if (round > 0) prompt.push(...ms);
    }
  } finally {
    await emptySlots(api, template);
    await api.templates.delete({ name: template });
  }
  const figures = { single: figureOf(single), together: figureOf(together), prompt: figureOf(prompt) };
  return { atOnce, ...figures, load: loadavg()[0] ?? 0 };
}

/** What was claimed is removed. */
async function claim(load: CreateLoad): Promise<readonly number[]> {
  const { ms, ids, failures, messages } = await createMany(load);
  await mapLimited(ids, 4, (id) => kill(load, id));
  if (Object.keys(failures).length > 0) throw new Error(`creates failed: ${JSON.stringify(messages)}`);
  return ms;
}

function kill({ url, key }: CreateLoad, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { method: "DELETE", headers: { "x-api-key": key }, agent: new Agent() };
    request(`${url}/sandboxes/${id}`, options, (response) => {
      response.resume();
      if (response.statusCode === 204) resolve();
      else reject(new Error(`cannot delete ${id}: ${response.statusCode}`));
    })
      .once("error", reject)
      .end();
  });
}

/** It has said where it listens in its log. */
async function findRegistry(root: string): Promise<string> {
  const lines = (await readFile(join(root, "log/agent.log"), "utf8")).split("\n");
  const line = lines.findLast((text) => text.includes("the registry is ready"));
  const rest = line === undefined ? undefined : readAddress((JSON.parse(line) as { rest: string }).rest);
  if (rest === undefined) throw new Error("the agent that runs has no registry in its process");
  return `http://${rest.host}:${rest.port}`;
}
