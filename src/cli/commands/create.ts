import type { Command } from "commander";
import { createInit, type NewSandboxOptions, withLimitOptions, withNameOptions } from "../create-request.js";
import { type Cli, leaf, type Session, usage } from "../session.js";
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
  const command = leaf(
    "restore",
    "Make a new sandbox from a checkpoint and print its id, or take one back to it",
    ["restore step1000", "restore c7f3 --name replay -l run=42", "restore step1000 --in-place a1b2"],
  )
    .argument("<checkpoint>", "id, prefix or name of the checkpoint")
    .option(
      "--in-place <sandbox>",
      "take this sandbox back to the checkpoint, which it has to descend from; what it is now is given up",
    );
  return withNameOptions(command, cli.io).action(cli.action(restore));
}

interface RestoreOptions extends NewSandboxOptions {
  readonly inPlace?: string;
}

async function restore(session: Session, checkpoint: string, options: RestoreOptions): Promise<void> {
  const { inPlace: ref, name, label, env } = options;
  if (ref === undefined) return create(session, undefined, { ...options, checkpoint });
  const given = Object.entries({ name, label, env }).find(([, value]) => value !== undefined);
  if (given !== undefined)
    throw usage(`--in-place excludes --${given[0]}`, "the sandbox keeps its name, labels and environment");
  const api = await session.api();
  const { out, signal } = session;
  const { sandbox, durationMs } = await api.sandboxes.rollBack({ sandbox: ref, checkpoint }, { signal });
  const document = { sandbox: sandboxView(sandbox), durationMs, warm: false };
  await out.document("created", document, (it) => it.sandbox.id);
}

async function create(session: Session, name: string | undefined, options: NewSandboxOptions): Promise<void> {
  const api = await session.api();
  const { out, signal } = session;
  const request = await createInit(api, name, options, signal);
  const { sandbox, durationMs, warm } = await api.sandboxes.create(request, { signal });
  await out.document("created", { sandbox: sandboxView(sandbox), durationMs, warm }, (it) => it.sandbox.id);
}
