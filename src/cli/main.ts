/** `ramet`: parse, do, report, and return the exit code. */
import { constants } from "node:os";
import { type Command, CommanderError } from "commander";
import { DomainError, toDomainError } from "../lib/errors.js";
import { reportError } from "./each.js";
import { exitCodeOf, exitCodeOfSignal, usageExitCode } from "./exit-code.js";
import type { CaughtSignal, Io } from "./io.js";
import { buildProgram } from "./program.js";
import { openInvocation } from "./session.js";
import { errorView } from "./views.js";

/** `words` are the arguments without interpreter and script. */
export async function main(words: readonly string[], io: Io): Promise<number> {
  const interrupt = new AbortController();
  let caught: CaughtSignal | undefined;
  const forget = io.onSignal((signal) => {
    caught = signal;
    interrupt.abort(new DomainError("cancelled", `interrupted by ${signal}`));
  });
  const { cli, exitCode } = openInvocation(io, interrupt.signal);
  const program = buildProgram(cli);
  for (const command of allCommands(program)) speakOurWay(command, io);
  try {
    await program.parseAsync([...words], { from: "user" });
    return exitCode();
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : usageExitCode;
    if (caught !== undefined) {
      // The terminal has shown a ^C; what comes next starts on its own line.
      if (caught === "SIGINT" && io.stderr.isTTY === true) io.stderr.write("\n");
      return exitCodeOfSignal(constants.signals[caught]);
    }
    return report(toDomainError(thrown, "ramet"), words, io);
  } finally {
    forget();
  }
}

/** With --json the error is one JSON line; standard output stays empty either way. */
function report(error: DomainError, words: readonly string[], io: Io): number {
  const end = words.indexOf("--");
  const isJson = (end < 0 ? words : words.slice(0, end)).includes("--json");
  if (isJson) io.stderr.write(`${JSON.stringify({ error: errorView(error) })}\n`);
  else reportError(error, (line) => void io.stderr.write(`${line}\n`));
  return exitCodeOf[error.code];
}

export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

/** Errors of the command line look like all others, and never end the process from within. */
function speakOurWay(command: Command, io: Io): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => void io.stderr.write(text),
    outputError: (text, write) => {
      const name = [...ancestors(command)].reverse().join(" ");
      write(`ramet: ${text.replace(/^error: /, "")}hint: ${name} --help\n`);
    },
    getOutHelpWidth: () => io.stdout.columns ?? 100,
    getErrHelpWidth: () => io.stderr.columns ?? 100,
  });
}

function* ancestors(command: Command): Generator<string> {
  for (let at: Command | null = command; at !== null; at = at.parent) yield at.name();
}
