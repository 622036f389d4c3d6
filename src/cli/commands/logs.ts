import type { Command } from "commander";
import { parseWhole } from "../arguments.js";
import { type Cli, leaf } from "../session.js";

interface LogsOptions {
  readonly follow?: boolean;
  readonly pid?: number;
}

export function logsCommand(cli: Cli): Command {
  return leaf("logs", "Print what a sandbox's start command, or one of its processes, wrote", [
    "logs a1b2",
    "logs -f --pid 17 a1b2",
  ])
    .argument("<sandbox>", "id, prefix or name")
    .option("-f, --follow", "go on with new output")
    .option("--pid <pid>", "a process inside (default: the template's start command)", parseWhole)
    .action(
      cli.action(
        async ({ api, out, streamOptions }, sandbox: string, { follow = false, pid = 0 }: LogsOptions) => {
          const { sandboxes } = await api();
          for await (const chunk of sandboxes.logs({ sandbox, follow, pid }, streamOptions)) {
            const stream = chunk.stream === 2 ? "stderr" : "stdout";
            const droppedBytes = Number(chunk.droppedBytes);
            const data = Buffer.from(chunk.data);
            if (out.isJson) {
              await out.line("logChunk", { stream, data: data.toString("base64"), droppedBytes }, () => "");
              continue;
            }
            if (droppedBytes > 0) out.note(`(${droppedBytes} bytes are no longer kept)`);
            await out.raw(stream, data);
          }
        },
      ),
    );
}
