import type { Command } from "commander";
import { z } from "zod";
import { parseDecimal, parseDuration, parseSize, parseWhole } from "../arguments.js";
import { forEachRef } from "../each.js";
import { exactDuration, formatBytes } from "../format.js";
import { pathOf } from "../registry-client.js";
import { type Cli, group, registryLeaf, type Session, usage } from "../session.js";
import { type Shape, shapes } from "../shapes.js";

type Pool = Shape<"pool">;

/** What a registry adds in later releases is dropped. */
const answer = shapes.pool.strip();

export function poolCommand(cli: Cli): Command {
  return group("pool", "Warm slots of templates over all nodes of a registry: set, get, list, remove", [
    setCommand(cli),
    getCommand(cli),
    listCommand(cli),
    removeCommand(cli),
  ]);
}

interface SetOptions {
  readonly min?: number;
  readonly max?: number;
  readonly minAvailable?: number;
  readonly maxAvailable?: number;
  readonly memory?: number | "none";
  readonly schedule?: readonly string[];
}

function setCommand(cli: Cli): Command {
  return registryLeaf("set", "Make a pool, or change what is named", [
    "pool set python --min 20 --max 400",
    "pool set python --schedule '0 8 * * 1-5 @ Europe/Berlin for 10h: min=100'",
  ])
    .argument("<template>", "name of the template")
    .option("--min <count>", "sandboxes, claimed or warm, that there are at least", parseWhole)
    .option("--max <count>", "above so many, none are made ahead", parseWhole)
    .option(
      "--min-available <ratio>",
      "share that is warm and unclaimed: below it the pool grows",
      parseDecimal,
    )
    .option("--max-available <ratio>", "above it the pool shrinks", parseDecimal)
    .option("-m, --memory <size>", "memory of warm slots over all nodes, e.g. 64g, or none", (text) =>
      text === "none" ? text : Number(parseSize(text)),
    )
    .option(
      "--schedule <text>",
      "numbers for a time: CRON @ ZONE for DURATION: min=N max=N min-available=R max-available=R; " +
        "replaces all schedules, may be given again, or none",
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .action(cli.action(set));
}

async function set({ registry, out }: Session, template: string, options: SetOptions): Promise<void> {
  const { min, max, minAvailable, maxAvailable, memory, schedule } = options;
  const change = {
    ...{ min, max, minAvailableRatio: minAvailable, maxAvailableRatio: maxAvailable },
    memoryBytes: memory === "none" ? null : memory,
    schedules: schedule?.filter((text) => text !== "none").map(parseSchedule),
  };
  const pool = await registry().send("PATCH", pathOf("pools", template), change, answer);
  await out.document("pool", pool, describe);
}

const numberNames: Readonly<Record<string, "min" | "max" | "minAvailableRatio" | "maxAvailableRatio">> = {
  min: "min",
  max: "max",
  "min-available": "minAvailableRatio",
  "max-available": "maxAvailableRatio",
};

function parseSchedule(text: string) {
  const match = /^(?<cron>[^@]+)@\s*(?<timeZone>\S+)\s+for\s+(?<duration>[^\s:]+)\s*:(?<numbers>.*)$/.exec(
    text,
  );
  const { cron = "", timeZone = "", duration = "", numbers = "" } = match?.groups ?? {};
  const pairs = numbers
    .trim()
    .split(/\s+/)
    .map((pair) => pair.split("="));
  if (
    match === null ||
    pairs.some(([name = "", value]) => numberNames[name] === undefined || value === undefined)
  )
    throw usage(
      `'${text}' is not a schedule`,
      "for example '0 8 * * 1-5 @ Europe/Berlin for 10h: min=100 max-available=0.8'",
    );
  const named = pairs.map(([name = "", value = ""]) => [numberNames[name], parseDecimal(value)] as const);
  return { cron: cron.trim(), timeZone, durationMs: parseDuration(duration), ...Object.fromEntries(named) };
}

function getCommand(cli: Cli): Command {
  return registryLeaf("get", "Show a pool, and why it is as large as it is", ["pool get python"])
    .argument("<template>", "name of the template")
    .action(
      cli.action(async ({ registry, out }, template: string) => {
        await out.document("pool", await registry().get(pathOf("pools", template), answer), describe);
      }),
    );
}

function listCommand(cli: Cli): Command {
  return registryLeaf("ls", "List pools, what there is of them, and why", ["pool ls"])
    .alias("list")
    .action(
      cli.action(async ({ registry, out }) => {
        const pools = await registry().get("/pools", answer.array());
        const head = ["TEMPLATE", "MIN", "MAX", "AVAILABLE", "CLAIMED", "READY", "TARGET", "WHY"];
        await out.document("pool", pools, (all) => out.table(head, all.map(cells)));
      }),
    );
}

function removeCommand(cli: Cli): Command {
  return registryLeaf("rm", "Remove pools; their slots are ended", ["pool rm python"])
    .argument("<template...>", "names of the templates")
    .action(
      cli.action(async (session, templates: string[]) => {
        const registry = session.registry();
        return await forEachRef(session, templates, async (template) => {
          await registry.send("DELETE", pathOf("pools", template), undefined, z.undefined());
          return { text: template };
        });
      }),
    );
}

function cells({ template, min, max, minAvailableRatio, maxAvailableRatio, state }: Pool): string[] {
  const counts = state === undefined ? [] : [state.claimed, state.ready, state.target].map(String);
  const now = state === undefined ? ["-", "-", "-", "not decided yet"] : [...counts, whyOf(state)];
  return [template, String(min), String(max), `${minAvailableRatio}-${maxAvailableRatio}`, ...now];
}

const whyOf = ({ why, problems }: NonNullable<Pool["state"]>): string =>
  problems.length === 0 ? why : `${why}; ${problems.length} nodes do not follow: ${problems[0]}`;

function describe({ template, min, max, memoryBytes, schedules, state, ...ratios }: Pool): string {
  const memory = memoryBytes === undefined ? "" : `, memory ${formatBytes(memoryBytes)}`;
  const available = `available ${ratios.minAvailableRatio}-${ratios.maxAvailableRatio}`;
  const lines = schedules.map((schedule) => `  schedule ${scheduleText(schedule)}`);
  const now = state === undefined ? [] : [`  ${state.ready} ready on ${state.nodes} nodes; ${whyOf(state)}`];
  return [`${template}  min ${min}, max ${max}, ${available}${memory}`, ...lines, ...now].join("\n");
}

/** As `pool set --schedule` takes it. */
function scheduleText({ cron, timeZone, durationMs, ...numbers }: Pool["schedules"][number]): string {
  const named = Object.entries(numberNames).flatMap(([name, field]) => {
    const value = numbers[field];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  return `${cron} @ ${timeZone} for ${exactDuration(durationMs)}: ${named.join(" ")}`;
}
