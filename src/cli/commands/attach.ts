import type { Command } from "commander";
import { parseWhole } from "../arguments.js";
import { detachKeysOption } from "../exec-request.js";
import { followProcess } from "../process-stream.js";
import { type Cli, leaf, type Session, usage } from "../session.js";

interface AttachOptions {
  readonly tag?: string;
  readonly after?: number;
  readonly input: boolean;
  readonly detachKeys: Uint8Array;
}

export function attachCommand(cli: Cli): Command {
  return leaf("attach", "Take part in a running process's stream again, and exit with its exit code", [
    "attach a1b2 17",
    "attach a1b2 --tag trainer --after 0",
  ])
    .argument("<sandbox>", "id, prefix or name")
    .argument("[pid]", "pid inside the sandbox, as `ramet top` shows it", parseWhole)
    .option("--tag <word>", "name the process by its tag")
    .option(
      "--after <seq>",
      "output after this position; 0: all that is kept (default: from now on)",
      parseWhole,
    )
    .option("--no-input", "only watch: pass no input on")
    .addOption(detachKeysOption("keys that leave the process running"))
    .action(cli.action(attach));
}

async function attach(
  session: Session,
  sandbox: string,
  pid: number | undefined,
  { tag, after, input, detachKeys }: AttachOptions,
): Promise<number> {
  if ((pid === undefined) === (tag === undefined)) throw usage("name the process by its pid or by --tag");
  const api = await session.api();
  const { processes } = await api.processes.list({ sandbox }, { signal: session.signal });
  const found = processes.find((process) => (pid === undefined ? process.tag === tag : process.pid === pid));
  const target = { sandbox, pid: pid ?? 0, tag: tag ?? "" };
  const value = after === undefined ? target : { ...target, afterSeq: BigInt(after) };
  const hasTerminal = (found?.terminal ?? false) && session.io.stdin.isTTY === true;
  const options = { sandbox, isInteractive: input, hasTerminal, detachKeys };
  return await followProcess(session, { message: { case: "attach", value } }, options);
}
