import { type Command, Option } from "commander";
import { parseSignal, parseWhole } from "../arguments.js";
import { type Cli, leaf } from "../session.js";

export function killCommand(cli: Cli): Command {
  return leaf("kill", "Send a signal to a process in a sandbox", ["kill a1b2 17", "kill -s USR1 a1b2 17"])
    .argument("<sandbox>", "id, prefix or name")
    .argument("<pid>", "pid inside the sandbox, as `ramet top` shows it", parseWhole)
    .addOption(signalOption())
    .option("-g, --group", "signal its whole process group")
    .action(
      cli.action(
        async (
          { api, out, signal: aborted },
          sandbox: string,
          pid: number,
          options: { signal: number; group?: boolean },
        ) => {
          const { signal, group = false } = options;
          await (await api()).processes.signal({ sandbox, pid, signal, group }, { signal: aborted });
          await out.document("signalled", { pid, signal }, () => "");
        },
      ),
    );
}

function signalOption(): Option {
  const option = new Option("-s, --signal <signal>", "name or number");
  return option.argParser(parseSignal).default(parseSignal("KILL"), "KILL");
}
