import type { Command } from "commander";
import { signalName } from "../arguments.js";
import { formatAge, formatCommand } from "../format.js";
import { type Cli, leaf } from "../session.js";
import type { Shape } from "../shapes.js";
import { processView } from "../views.js";

export function topCommand(cli: Cli): Command {
  return leaf("top", "List the processes that were started in a sandbox", ["top a1b2"])
    .alias("processes")
    .argument("<sandbox>", "id, prefix or name")
    .option("-a, --all", "also those that have exited (the last 64)")
    .action(
      cli.action(async ({ api, out, signal }, sandbox: string, { all = false }: { all?: boolean }) => {
        const { processes } = await (await api()).processes.list({ sandbox }, { signal });
        const views = processes.map(processView).filter((view) => all || view.exited === undefined);
        const head = ["PID", "USER", "STATE", "STARTED", "TAG", "COMMAND"];
        await out.document("process", views, (them) => out.table(head, them.map(row)));
      }),
    );
}

function row({ pid, user, startedAt, tag = "-", argv, exited }: Shape<"process">): string[] {
  return [
    String(pid),
    user,
    state(exited),
    formatAge(new Date(startedAt), new Date()),
    tag,
    formatCommand(argv),
  ];
}

function state(exited: Shape<"process">["exited"]): string {
  if (exited === undefined) return "running";
  return exited.signal === undefined
    ? `exited (${exited.exitCode})`
    : `killed (${signalName(exited.signal)})`;
}
