import type { Command } from "commander";
import { type Cli, leaf } from "../session.js";
import { sandboxView } from "../views.js";

export function inspectCommand(cli: Cli): Command {
  return leaf("inspect", "Print all that is known about a sandbox, as JSON", [
    "inspect a1b2",
    "inspect a1b2 | jq .pid",
  ])
    .argument("<sandbox>", "id, prefix or name")
    .action(
      cli.action(async ({ api, out, signal }, ref: string) => {
        const { sandbox } = await (await api()).sandboxes.get({ sandbox: ref }, { signal });
        await out.inspection("sandbox", sandboxView(sandbox));
      }),
    );
}
