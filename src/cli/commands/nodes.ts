import type { Command } from "commander";
import { z } from "zod";
import { parseDuration } from "../arguments.js";
import { forEachRef } from "../each.js";
import { formatAge, formatBytes } from "../format.js";
import { pathOf } from "../registry-client.js";
import { type Cli, group, registryLeaf } from "../session.js";
import { type Shape, shapes } from "../shapes.js";
import { drainCommand } from "./drain.js";

type NodeShape = Shape<"node">;

/** What a registry adds in later releases is dropped. */
const answer = shapes.node.strip();
const nothing = z.undefined();

export function nodeCommand(cli: Cli): Command {
  return group("node", "Nodes of a registry: let them join, list, drain, remove", [
    tokenCommand(cli),
    listCommand(cli),
    drainCommand(cli),
    uncordonCommand(cli),
    removeCommand(cli),
  ]);
}

function tokenCommand(cli: Cli): Command {
  return registryLeaf("token", "Make a token that lets one node join, and print it", [
    "node token > /etc/ramet/join-token",
  ])
    .option("--ttl <duration>", "how long it is good, 1m to 168h (default: 1h)", parseDuration)
    .action(
      cli.action(async ({ registry, out }, { ttl }: { readonly ttl?: number }) => {
        const body = ttl === undefined ? {} : { ttlS: Math.floor(ttl / 1000) };
        const made = await registry().send("POST", "/tokens", body, shapes.joinToken.strip());
        await out.document("joinToken", made, ({ token }) => token);
        if (!out.isJson)
          out.note(
            `good for one node until ${made.expiresAt}: rametd agent --join HOST:PORT --token-file FILE`,
          );
      }),
    );
}

function listCommand(cli: Cli): Command {
  return registryLeaf("ls", "List nodes: their health, what runs there, what is free", ["node ls"])
    .alias("list")
    .action(
      cli.action(async ({ registry, out }) => {
        const nodes = await registry().get("/nodes", answer.array());
        const head = [
          "NAME",
          "HEALTH",
          "RUNNING",
          "PAUSED",
          "LOST",
          "CPUS",
          "LOAD",
          "MEMORY FREE",
          "SLOTS",
          "SEEN",
          "ADDRESS",
        ];
        await out.document("node", nodes, (all) => out.table(head, all.map(row)));
      }),
    );
}

function row({ name, health, cordoned, sandboxes, report, seenAt, address }: NodeShape): string[] {
  const slots = report?.templates.reduce((sum, { slotsReady }) => sum + slotsReady, 0);
  return [
    name,
    cordoned ? `${health}, cordoned` : health,
    String(sandboxes.running),
    String(sandboxes.paused),
    String(sandboxes.lost),
    String(report?.cpus ?? "-"),
    report?.load.toFixed(1) ?? "-",
    report === undefined
      ? "-"
      : `${formatBytes(report.memoryFreeBytes)} of ${formatBytes(report.memoryBytes)}`,
    String(slots ?? "-"),
    health === "ready" ? "now" : formatAge(new Date(seenAt), new Date()),
    address === "" ? "this registry's process" : address,
  ];
}

function uncordonCommand(cli: Cli): Command {
  return registryLeaf("uncordon", "Give a node new work again", ["node uncordon node1"])
    .argument("<node>", "name or id of the node")
    .action(
      cli.action(async ({ registry, out }, name: string) => {
        const node = await registry().send("PATCH", pathOf("nodes", name), { cordoned: false }, answer);
        await out.document("node", node, (it) => `${it.name}  ${it.health}`);
      }),
    );
}

function removeCommand(cli: Cli): Command {
  return registryLeaf("rm", "Forget nodes that have no sandboxes; their certificates are void from then on", [
    "node rm node1",
    "node rm --force node1",
  ])
    .argument("<node...>", "names or ids of the nodes")
    .option("-f, --force", "also those that are lost for good, with all the sandboxes and snapshots on them")
    .action(
      cli.action((session, names: string[], { force = false }: { readonly force?: boolean }) =>
        forEachRef(session, names, async (name) => {
          const path = `${pathOf("nodes", name)}${force ? "?force=true" : ""}`;
          await session.registry().send("DELETE", path, undefined, nothing);
          return { text: name };
        }),
      ),
    );
}
