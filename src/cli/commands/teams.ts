import type { Command } from "commander";
import { parseDecimal, parseSize, parseWhole } from "../arguments.js";
import { formatAge, formatBytes } from "../format.js";
import { pathOf } from "../registry-client.js";
import { type Cli, group, registryLeaf, type Session, usage } from "../session.js";
import { type Shape, shapes } from "../shapes.js";

type Team = Shape<"team">;

/** What a registry adds in later releases is dropped. */
const answer = shapes.team.strip();

export function teamCommand(cli: Cli): Command {
  return group("team", "Teams of a registry: make, list, limit", [
    createCommand(cli),
    listCommand(cli),
    limitCommand(cli),
  ]);
}

type Limit = number | "none";

interface LimitOptions {
  readonly sandboxes?: Limit;
  readonly cpus?: Limit;
  readonly memory?: Limit;
  readonly forks?: Limit;
}

function withLimits(command: Command): Command {
  return command
    .option("--sandboxes <count>", "running sandboxes at once, or none", orNone(parseWhole))
    .option("--cpus <number>", "processor cores of running sandboxes together, or none", orNone(parseDecimal))
    .option(
      "-m, --memory <size>",
      "memory of running sandboxes together, e.g. 64g, or none",
      orNone((text) => Number(parseSize(text))),
    )
    .option("--forks <count>", "clones being made at once, or none", orNone(parseWhole));
}

function orNone(parse: (text: string) => number): (text: string) => Limit {
  return (text) => (text === "none" ? text : parse(text));
}

/** Those that are named, as the registry has them. */
function limitsOf({ sandboxes, cpus, memory: memoryBytes, forks: forksInFlight }: LimitOptions) {
  const all = Object.entries({ sandboxes, cpus, memoryBytes, forksInFlight });
  return all.filter((entry): entry is [string, Limit] => entry[1] !== undefined);
}

function createCommand(cli: Cli): Command {
  const command = registryLeaf("create", "Make a team", [
    "team create research --sandboxes 200 --memory 256g",
  ]).argument("<name>", "name of the team: a-z, 0-9, '.', '_', '-'");
  return withLimits(command).action(
    cli.action(async ({ registry, out }, name: string, options: LimitOptions) => {
      const limits = Object.fromEntries(limitsOf(options).filter(([, limit]) => limit !== "none"));
      const team = await registry().send("POST", "/teams", { name, limits }, answer);
      await out.document("team", team, describe);
    }),
  );
}

function listCommand(cli: Cli): Command {
  return registryLeaf("ls", "List teams and their limits", ["team ls"])
    .alias("list")
    .action(
      cli.action(async ({ registry, out }) => {
        const teams = await registry().get("/teams", answer.array());
        const head = ["NAME", "SANDBOXES", "CPUS", "MEMORY", "FORKS", "CREATED"];
        await out.document("team", teams, (all) =>
          out.table(
            head,
            all.map((team) => [
              team.name,
              ...limitCells(team),
              formatAge(new Date(team.createdAt), new Date()),
            ]),
          ),
        );
      }),
    );
}

function limitCommand(cli: Cli): Command {
  const command = registryLeaf("limit", "Change a team's limits; those that are not named stay", [
    "team limit research --sandboxes 400",
    "team limit research --cpus none",
  ]).argument("<team>", "name or id of the team");
  return withLimits(command).action(cli.action(limit));
}

async function limit({ registry, out }: Session, name: string, options: LimitOptions): Promise<void> {
  const named = limitsOf(options);
  if (named.length === 0) throw usage("no limit is named", "for example --sandboxes 100");
  const limits = Object.fromEntries(named.map(([name, limit]) => [name, limit === "none" ? null : limit]));
  const team = await registry().send("PATCH", pathOf("teams", name), { limits }, answer);
  await out.document("team", team, describe);
}

function describe(team: Team): string {
  const [sandboxes, cpus, memory, forks] = limitCells(team);
  return `${team.name}  sandboxes ${sandboxes}, cpus ${cpus}, memory ${memory}, forks ${forks}`;
}

function limitCells({ limits }: Team): string[] {
  const { sandboxes = "none", cpus = "none", memoryBytes, forksInFlight = "none" } = limits;
  const memory = memoryBytes === undefined ? "none" : formatBytes(memoryBytes);
  return [String(sandboxes), String(cpus), memory, String(forksInFlight)];
}
