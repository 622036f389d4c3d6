import type { Command } from "commander";
import { checkpointForest, drawForest } from "../checkpoint-tree.js";
import { forEachRef } from "../each.js";
import { formatAge, formatBytes, formatDuration } from "../format.js";
import { type Cli, group, leaf } from "../session.js";
import type { Shape } from "../shapes.js";
import { checkpointView, sent } from "../views.js";

export function checkpointCommand(cli: Cli): Command {
  return group("checkpoint", "Checkpoints: create, list, tree, inspect, verify, remove", [
    createCommand(cli),
    listCommand(cli),
    treeCommand(cli),
    inspectCommand(cli),
    verifyCommand(cli),
    removeCommand(cli),
  ]);
}

function createCommand(cli: Cli): Command {
  return leaf("create", "Keep a running sandbox's memory and filesystem as they are now; it runs on", [
    "checkpoint create a1b2",
    "checkpoint create a1b2 --name step1000",
  ])
    .argument("<sandbox>", "id, prefix or name")
    .option("--name <name>", "a name, unique on this node: a-z, 0-9, '.', '_', '-'")
    .action(
      cli.action(async ({ api, out, signal }, sandbox: string, { name = "" }: { name?: string }) => {
        const answer = await (await api()).checkpoints.create({ sandbox, name }, { signal });
        const json = { checkpoint: checkpointView(answer.checkpoint), durationMs: answer.durationMs };
        await out.document("checkpointCreated", json, ({ checkpoint }) => checkpoint.id);
        if (out.isJson) return;
        const { memoryBytes, freezeMs } = json.checkpoint;
        const took = `${formatDuration(json.durationMs)}, frozen for ${formatDuration(freezeMs)}`;
        out.note(`${formatBytes(memoryBytes)} of memory in ${took}`);
      }),
    );
}

interface ListOptions {
  readonly all?: boolean;
  readonly quiet?: boolean;
}

function listCommand(cli: Cli): Command {
  return leaf("ls", "List checkpoints, newest first", [
    "checkpoint ls",
    "checkpoint ls a1b2",
    "checkpoint ls -a",
  ])
    .alias("list")
    .argument("[sandbox]", "only those taken from this sandbox")
    .option("-a, --all", "also those that belong to a template, a paused sandbox or a fork")
    .option("-q, --quiet", "print ids only")
    .action(
      cli.action(async ({ api, out, signal }, sandbox: string | undefined, options: ListOptions) => {
        const { all = false, quiet = false } = options;
        const { checkpoints } = await (await api()).checkpoints.list(
          { sandbox: sandbox ?? "", all },
          { signal },
        );
        const head = ["ID", "NAME", "KIND", "SANDBOX", "PARENT", "MEMORY", "LAYER", "CREATED"];
        await out.document("checkpoint", checkpoints.map(checkpointView), (views) =>
          quiet ? views.map(({ id }) => id).join("\n") : out.table(head, views.map(row)),
        );
      }),
    );
}

function row(view: Shape<"checkpoint">): string[] {
  const { id, name = "-", kind, sandbox, parent = "-", memoryBytes, layerBytes, createdAt } = view;
  const age = formatAge(new Date(createdAt), new Date());
  return [id, name, kind, sandbox, parent, formatBytes(memoryBytes), formatBytes(layerBytes), age];
}

function treeCommand(cli: Cli): Command {
  return leaf("tree", "Show which checkpoint came from which", ["checkpoint tree"]).action(
    cli.action(async ({ api, out, signal }) => {
      const { checkpoints } = await (await api()).checkpoints.list({ all: true }, { signal });
      await out.document("checkpointNode", checkpointForest(checkpoints.map(checkpointView)), drawForest);
    }),
  );
}

function inspectCommand(cli: Cli): Command {
  return leaf("inspect", "Print all that is known about a checkpoint, its manifest included, as JSON", [
    "checkpoint inspect step1000",
  ])
    .argument("<checkpoint>", "id, prefix or name")
    .action(
      cli.action(async ({ api, out, signal }, ref: string) => {
        const { checkpoint } = await (await api()).checkpoints.get({ checkpoint: ref }, { signal });
        const manifest = JSON.parse(sent(checkpoint, "checkpoint").manifestJson || "null");
        await out.inspection("checkpointDetails", { ...checkpointView(checkpoint), manifest });
      }),
    );
}

/** What cannot be restored here is a failed precondition. */
const unrestorable = 4;

function verifyCommand(cli: Cli): Command {
  return leaf("verify", "Read every file of a checkpoint again, and say whether it can be restored here", [
    "checkpoint verify step1000",
  ])
    .argument("<checkpoint>", "id, prefix or name")
    .action(
      cli.action(async ({ api, out, signal }, checkpoint: string) => {
        const { problems } = await (await api()).checkpoints.verify({ checkpoint }, { signal });
        const ok = problems.length === 0;
        const text = ok ? `${checkpoint}: whole, and restorable here` : problems.join("\n");
        await out.document("verified", { checkpoint, ok, problems }, () => text);
        return ok ? 0 : unrestorable;
      }),
    );
}

function removeCommand(cli: Cli): Command {
  return leaf("rm", "Remove checkpoints that nothing depends on", ["checkpoint rm step1000"])
    .argument("<checkpoint...>", "ids, prefixes or names")
    .action(
      cli.action(async (session, refs: string[]) => {
        const { checkpoints } = await session.api();
        return await forEachRef(session, refs, async (checkpoint) => {
          await checkpoints.delete({ checkpoint }, { signal: session.signal });
          return { text: checkpoint };
        });
      }),
    );
}
