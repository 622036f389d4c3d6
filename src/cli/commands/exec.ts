import type { Command } from "commander";
import { collectPairs } from "../arguments.js";
import {
  commandWords,
  type ProcessOptions,
  startAndFollow,
  startDetached,
  withProcessOptions,
} from "../exec-request.js";
import { type Cli, leaf } from "../session.js";

export function execCommand(cli: Cli): Command {
  const command = leaf("exec", "Run a command in a running sandbox, and exit with its exit code", [
    "exec a1b2 ls -l /",
    "exec -it a1b2 bash",
    "tar c . | ramet exec -i a1b2 tar x -C /work",
    "exec -d --tag trainer a1b2 python3 train.py",
  ])
    .argument("<sandbox>", "id, prefix or name")
    .argument("<command...>", "command and its arguments")
    .option("-d, --detach", "print the process's pid and leave it running")
    .option("-e, --env <key=value>", "an environment variable (may be repeated)", collectPairs(cli.io.env))
    .passThroughOptions();
  return withProcessOptions(command).action(
    cli.action(
      async (session, sandbox: string, words: string[], options: ProcessOptions & { detach?: boolean }) => {
        const { detach: isDetached = false } = options;
        const start = { sandbox, argv: commandWords(words), isDetached };
        if (!isDetached) return await startAndFollow(session, start, options);
        const pid = await startDetached(session, start, options);
        await session.out.line("execEvent", { event: "started", sandbox, pid }, () => String(pid));
        return 0;
      },
    ),
  );
}
