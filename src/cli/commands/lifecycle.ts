/** Commands that move sandboxes through their lifecycle: pause, resume, stop, rm. */
import type { Command } from "commander";
import { parseDuration } from "../arguments.js";
import { forEachRef } from "../each.js";
import { formatBytes, formatDuration } from "../format.js";
import { type Cli, leaf } from "../session.js";
import { sandboxView } from "../views.js";

const sandboxes = "ids, prefixes or names";

export function pauseCommand(cli: Cli): Command {
  return leaf("pause", "Put a sandbox's memory and processes on disk and free them", [
    "pause a1b2",
    "pause --no-memory a1b2",
  ])
    .argument("<sandbox...>", sandboxes)
    .option("--no-memory", "keep the files alone: the processes end, `resume` starts it anew")
    .action(
      cli.action(async (session, refs: string[], { memory }: { memory: boolean }) => {
        const api = await session.api();
        return await forEachRef(session, refs, async (sandbox) => {
          const request = { sandbox, withoutMemory: !memory };
          const answer = await api.sandboxes.pause(request, { signal: session.signal });
          const { durationMs } = answer;
          const memoryBytes = Number(answer.memoryBytes);
          const kept = memory ? `${formatBytes(memoryBytes)} on disk` : "its files kept";
          const text = `${sandbox}  paused in ${formatDuration(durationMs)}, ${kept}`;
          return { text, sandbox: sandboxView(answer.sandbox), durationMs, memoryBytes };
        });
      }),
    );
}

export function resumeCommand(cli: Cli): Command {
  return leaf("resume", "Bring a paused sandbox back", ["resume a1b2"])
    .alias("unpause")
    .argument("<sandbox...>", sandboxes)
    .option("--no-memory", "give up the memory that was kept, and start it anew from its files")
    .action(
      cli.action(async (session, refs: string[], { memory }: { memory: boolean }) => {
        const api = await session.api();
        return await forEachRef(session, refs, async (ref) => {
          const { sandbox, durationMs } = await api.sandboxes.resume(
            { sandbox: ref, withoutMemory: !memory },
            { signal: session.signal },
          );
          const text = `${ref}  resumed in ${formatDuration(durationMs)}`;
          return { text, sandbox: sandboxView(sandbox), durationMs };
        });
      }),
    );
}

export function stopCommand(cli: Cli): Command {
  return leaf("stop", "End all processes of a sandbox: SIGTERM, then SIGKILL", [
    "stop a1b2",
    "stop -t 1s a1b2 c3d4",
  ])
    .argument("<sandbox...>", sandboxes)
    .option(
      "-t, --time <duration>",
      "how long SIGTERM has; a bare number is seconds (default: 10s, at most 60s; 0: at once)",
      parseDuration,
    )
    .action(
      cli.action(async (session, refs: string[], { time }: { time?: number }) => {
        const api = await session.api();
        // 0 means "the default" on the wire; a docker user who types 0 means "at once".
        const graceMs = time === undefined ? 0 : Math.max(1, time);
        return await forEachRef(session, refs, async (ref) => {
          const { sandbox } = await api.sandboxes.stop({ sandbox: ref, graceMs }, { signal: session.signal });
          return { text: ref, sandbox: sandboxView(sandbox) };
        });
      }),
    );
}

export function removeCommand(cli: Cli): Command {
  return leaf("rm", "Forget sandboxes and free all they hold", [
    "rm a1b2",
    "rm -f a1b2 c3d4",
    "rm -f $(ramet ps -aq)",
  ])
    .argument("<sandbox...>", sandboxes)
    .option("-f, --force", "also when running or paused")
    .action(
      cli.action(async (session, refs: string[], { force = false }: { force?: boolean }) => {
        const api = await session.api();
        return await forEachRef(session, refs, async (sandbox) => {
          await api.sandboxes.delete({ sandbox, force }, { signal: session.signal });
          return { text: sandbox };
        });
      }),
    );
}
