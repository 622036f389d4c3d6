import type { Command } from "commander";
import { forEachRef } from "../each.js";
import { formatAge } from "../format.js";
import { pathOf } from "../registry-client.js";
import { type Cli, group, registryLeaf } from "../session.js";
import { shapes } from "../shapes.js";

export function keyCommand(cli: Cli): Command {
  return group("key", "API keys of a registry's teams: make, list, revoke", [
    createCommand(cli),
    listCommand(cli),
    revokeCommand(cli),
  ]);
}

function createCommand(cli: Cli): Command {
  return registryLeaf("create", "Make an API key of a team; it is shown this once", [
    "key create research --name laptop",
    "export E2B_API_KEY=$(ramet key create research)",
  ])
    .argument("<team>", "name or id of the team")
    .option("--name <text>", "for people to tell keys apart")
    .action(
      cli.action(async ({ registry, out }, team: string, { name = "" }: { readonly name?: string }) => {
        const answer = shapes.apiKeyCreated.strip();
        const created = await registry().send("POST", pathOf("teams", team, "keys"), { name }, answer);
        await out.document("apiKeyCreated", created, ({ key }) => key);
        if (!out.isJson) out.note(`${created.id} of team ${created.team}: keep it, it is not shown again`);
      }),
    );
}

function listCommand(cli: Cli): Command {
  return registryLeaf("ls", "List the API keys of a team, oldest first, revoked ones too", [
    "key ls research",
  ])
    .alias("list")
    .argument("<team>", "name or id of the team")
    .action(
      cli.action(async ({ registry, out }, team: string) => {
        const keys = await registry().get(pathOf("teams", team, "keys"), shapes.apiKey.strip().array());
        const now = new Date();
        await out.document("apiKey", keys, (all) =>
          out.table(
            ["ID", "NAME", "KEY", "CREATED", "REVOKED"],
            all.map(({ id, name, mask, createdAt, revokedAt }) => [
              id,
              name,
              mask,
              formatAge(new Date(createdAt), now),
              revokedAt === undefined ? "-" : formatAge(new Date(revokedAt), now),
            ]),
          ),
        );
      }),
    );
}

function revokeCommand(cli: Cli): Command {
  return registryLeaf("revoke", "Revoke API keys of a team, at once", [
    "key revoke research 3f9a0c2b7d1e4f5a6b7c",
  ])
    .argument("<team>", "name or id of the team")
    .argument("<key...>", "ids of the keys, as `ramet key ls` shows them")
    .action(
      cli.action(async (session, team: string, ids: string[]) => {
        const registry = session.registry();
        return await forEachRef(session, ids, async (id) => {
          await registry.send("DELETE", pathOf("teams", team, "keys", id), undefined, shapes.apiKey.strip());
          return { text: id };
        });
      }),
    );
}
