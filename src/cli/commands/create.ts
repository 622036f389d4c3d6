import type { Command } from "commander";
import { createInit, type NewSandboxOptions, withLimitOptions, withNameOptions } from "../create-request.js";
import { type Cli, leaf, type Session } from "../session.js";
import { sandboxView } from "../views.js";

export function createCommand(cli: Cli): Command {
  const command = leaf("create", "Make a sandbox and print its id", [
    "create python",
    "create --image debian-python --memory 512m --cpus 2 -e SEED=1",
    "create --checkpoint step1000 --name replay",
  ])
    .argument("[template]", "template to restore (or an image, where there is no such template)")
    .option("--image <image>", "start from an image, without a template")
    .option("--checkpoint <checkpoint>", "restore a checkpoint")
    .option("-u, --user <user>", "default user of its processes (images only; default: the image's)")
    .option("-w, --workdir <path>", "default working directory (images only; default: the image's)")
    .option("--allow-privilege-escalation", "let a setuid sudo work inside (images only)");
  return withNameOptions(withLimitOptions(command), cli.io).action(cli.action(create));
}

export function restoreCommand(cli: Cli): Command {
  const command = leaf("restore", "Make a new sandbox from a checkpoint and print its id", [
    "restore step1000",
    "restore c7f3 --name replay -l run=42",
  ]).argument("<checkpoint>", "id, prefix or name of the checkpoint");
  return withNameOptions(command, cli.io).action(
    cli.action((session, checkpoint: string, options: NewSandboxOptions) =>
      create(session, undefined, { ...options, checkpoint }),
    ),
  );
}

async function create(session: Session, name: string | undefined, options: NewSandboxOptions): Promise<void> {
  const api = await session.api();
  const { out, signal } = session;
  const request = await createInit(api, name, options, signal);
  const { sandbox, durationMs } = await api.sandboxes.create(request, { signal });
  await out.document("created", { sandbox: sandboxView(sandbox), durationMs }, (it) => it.sandbox.id);
}
