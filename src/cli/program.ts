/** All commands of `ramet`, put together. */
import { Command } from "commander";
import { attachCommand } from "./commands/attach.js";
import { checkpointCommand } from "./commands/checkpoints.js";
import { commitCommand } from "./commands/commit.js";
import { copyCommand } from "./commands/cp.js";
import { createCommand, restoreCommand } from "./commands/create.js";
import { doctorCommand } from "./commands/doctor.js";
import { eventsCommand } from "./commands/events.js";
import { execCommand } from "./commands/exec.js";
import { fileCommand } from "./commands/files.js";
import { forkCommand, keepCommand } from "./commands/fork.js";
import { imageCommand, imagesCommand, pullCommand, removeImageCommand } from "./commands/images.js";
import { infoCommand, versionCommand } from "./commands/info.js";
import { inspectCommand } from "./commands/inspect.js";
import { keyCommand } from "./commands/keys.js";
import { killCommand } from "./commands/kill.js";
import { pauseCommand, removeCommand, resumeCommand, stopCommand } from "./commands/lifecycle.js";
import { logsCommand } from "./commands/logs.js";
import { nodeCommand } from "./commands/nodes.js";
import { poolCommand } from "./commands/pools.js";
import { psCommand } from "./commands/ps.js";
import { runCommand } from "./commands/run.js";
import { statsCommand } from "./commands/stats.js";
import { teamCommand } from "./commands/teams.js";
import { templateCommand } from "./commands/templates.js";
import { topCommand } from "./commands/top.js";
import { type Cli, withCommonOptions, withRegistryOptions } from "./session.js";
import { clientVersion } from "./version.js";

const groups: ReadonlyArray<readonly [string, ReadonlyArray<(cli: Cli) => Command>]> = [
  ["Sandboxes:", [createCommand, runCommand, psCommand, inspectCommand, stopCommand, removeCommand]],
  ["Processes:", [execCommand, attachCommand, topCommand, killCommand, logsCommand]],
  ["Files:", [copyCommand, fileCommand]],
  [
    "Time travel:",
    [pauseCommand, resumeCommand, forkCommand, keepCommand, checkpointCommand, restoreCommand, commitCommand],
  ],
  ["Stock:", [templateCommand, imageCommand, imagesCommand, (cli) => pullCommand(cli), removeImageCommand]],
  ["Node:", [statsCommand, eventsCommand, infoCommand, doctorCommand, versionCommand]],
  ["Registry:", [nodeCommand, teamCommand, keyCommand, poolCommand]],
];

export function buildProgram(cli: Cli): Command {
  const program = withRegistryOptions(withCommonOptions(new Command("ramet")))
    .description("Sandboxes that can be checkpointed, paused, resumed, committed and forked while they run.")
    .version(clientVersion(), "-V, --version", "print the version of this program")
    .enablePositionalOptions()
    .addHelpText(
      "after",
      "\nA SANDBOX is an id, a unique prefix of one (four characters or more), or a name.",
    );
  for (const [heading, makers] of groups)
    for (const make of makers) program.addCommand(make(cli).helpGroup(heading));
  return program;
}
